"""The cold tier in an object store."""

import pytest

from k2stream import settings
from k2stream.iceberg.catalog import open_catalog
from tests.integration.cold_samples import KRAKEN, SILVER, fill, held, once, opened, run

pytestmark = pytest.mark.integration

COMMITS, COUNT = 3, 100


def test_commits_and_maintenance_in_an_object_store(bucket, tmp_path):
    config = settings.IcebergSettings(data_dir=str(tmp_path), warehouse=f"{bucket.url}/warehouse")
    store = opened(config)
    fill(store, COMMITS, COUNT)
    catalog = open_catalog(config)
    before = catalog.load_table(SILVER.table)
    assert before.location().startswith(f"{bucket.url}/warehouse/")
    files = len(before.inspect.files())
    entries = {(entry.table, entry.step): entry for entry in run(config)}
    assert {entry.status for entry in entries.values()} == {"OK"}
    after = catalog.load_table(SILVER.table)
    assert len(after.inspect.files()) < files
    assert entries[SILVER.table, "orphans"].files_after < entries[SILVER.table, "orphans"].files_before
    assert held(config) == once(COMMITS * COUNT)
    assert store.positions(SILVER)[0].offset == COMMITS * COUNT - 1
    assert held(config, KRAKEN.table) == once(COMMITS * COUNT)
