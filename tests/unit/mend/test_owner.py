"""What `k2 mend` changes in Iceberg: nothing of another platform's tables."""

import shutil
from pathlib import Path

import pytest

from k2stream import topics
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.layers.table import BRONZE
from k2stream.mend.drop import Drop, drop
from k2stream.mend.sinks import go_back
from k2stream.model.errors import StateRefused
from k2stream.settings import make

TABLE = BRONZE["kraken"]
AT = SourcePartition(topics.raw("kraken"), 0)


def test_a_copied_folder_mends_nothing_of_the_original(tmp_path):
    original, copy = (make(data_dir=str(tmp_path / name)) for name in ("prod", "copy"))
    table = tables.ensure(open_catalog(original.iceberg), tables.TABLES[TABLE.cold])
    writer.commit_positions(table, {AT: SinkPosition(9, epoch="0000000000000001-a")})
    shutil.copytree(tmp_path / "prod", tmp_path / "copy")
    folder = Path(table.location().removeprefix("file://"))
    before = set(folder.rglob("*"))
    for mend in (
        lambda given: drop(given, Drop(False, "kraken", 0, 5, 10, False)),
        lambda given: go_back(given, TABLE, AT, 5, hot=False),
    ):
        with pytest.raises(StateRefused, match="`k2 cold adopt`"):
            mend(copy)
        assert set(folder.rglob("*")) == before
        mend(original)
        before = set(folder.rglob("*"))
    held = open_catalog(original.iceberg).load_table(TABLE.cold)
    assert writer.positions(held)[AT].offset == 4
