"""Orphans of a table whose name is given to another one while its files are listed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.fresh import FRESH, fresh_name
from k2stream.iceberg.maintenance import orphans
from k2stream.model.errors import Inconsistent
from k2stream.settings import IcebergSettings

LIVE = tables.TABLES["cold.silver_trades"]
OLD = fresh_name(LIVE.name)


def test_what_a_swap_kept_loses_no_file(tmp_path):
    """All its files were orphans of the table that had taken its place."""
    catalog = open_catalog(IcebergSettings(data_dir=str(tmp_path)))
    live = tables.ensure(catalog, LIVE)
    row = {"timestamp": datetime(2026, 1, 1, tzinfo=UTC), "exchange": "kraken", "raw_offset": 7}
    live.append(pa.Table.from_pylist([row], live.schema().as_arrow()))
    tables.ensure(catalog, replace(LIVE, name=OLD), f"{tmp_path}/rebuilt")
    loaded = []

    def load():
        if loaded:  # `k2 replay --swap` meanwhile
            for name, to in ((LIVE.name, f"{FRESH}.x"), (OLD, LIVE.name), (f"{FRESH}.x", OLD)):
                catalog.rename_table(name, to)
        loaded.append(catalog.load_table(LIVE.name))
        return loaded[-1]

    said = ""
    try:
        found = orphans.find(load, datetime.now(UTC) + timedelta(days=1))
        orphans.remove(catalog.load_table(LIVE.name), found.orphans)
    except Inconsistent as error:
        said = str(error)
    assert catalog.load_table(OLD).scan().to_arrow()["raw_offset"].to_pylist() == [7]
    assert said.startswith("cold.silver_trades was exchanged for another table")
