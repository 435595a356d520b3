"""The cold tier in an object store."""

import asyncio
from urllib.parse import urlsplit

import msgspec
import pytest

from k2stream import settings
from k2stream.iceberg.catalog import open_catalog
from k2stream.reconcile.oracle import iceberg as oracle
from k2stream.settings.tls import server_context
from tests import tls
from tests.integration.cold_samples import KRAKEN, SILVER, fill, held, once, opened, run, write_trades

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


async def test_an_object_store_is_reached_over_tls_with_a_ca_of_its_own(bucket, tmp_path):
    """The store itself speaks plain HTTP: TLS ends before it. The keys are settings, too."""
    files, port = tls.issued(tmp_path), urlsplit(bucket.endpoint).port
    context = server_context(files)
    assert context is not None and port is not None
    async with tls.terminated(context, port) as secured:
        config = settings.IcebergSettings(
            data_dir=str(tmp_path),
            warehouse=f"{bucket.url}/secured",
            s3_endpoint=f"https://127.0.0.1:{secured}",
            s3_region="us-east-1",
            s3_access_key_id="a",
            s3_secret_access_key="b",
            tls_ca_file=files.ca_file,
        )

        def written():
            write_trades(opened(config), 0, COUNT)
            return held(config), oracle.offsets(oracle.load(config, "silver_trades"), "raw_offset >= 0")

        rows, again = await asyncio.to_thread(written)
        assert rows == once(COUNT) and sorted(again) == list(range(COUNT))
        trusting_others = msgspec.structs.replace(config, tls_ca_file="")
        with pytest.raises(OSError, match="curlCode: 60"):
            await asyncio.to_thread(held, trusting_others)
