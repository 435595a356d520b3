"""The cold tier in an object store (moto's server, over HTTP), which pyiceberg's own configuration names."""

import pyiceberg.catalog
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem
from pyiceberg.utils.config import Config

from k2stream import settings
from k2stream.cold.catalog import open_catalog
from tests.integration.cold_samples import KRAKEN, SILVER, fill, held, once, opened, run

pytestmark = pytest.mark.integration

BUCKET, COMMITS, COUNT = "k2-cold", 3, 100


@pytest.fixture
def config(tmp_path, monkeypatch):
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        endpoint = f"http://{host}:{port}"
        S3FileSystem(
            access_key="a", secret_key="b", endpoint_override=endpoint, allow_bucket_creation=True
        ).create_dir(BUCKET)
        names = {"ENDPOINT": endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
        for name, value in names.items():
            monkeypatch.setenv(f"PYICEBERG_CATALOG__K2__S3__{name}", value)
        monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())  # read once, at import
        yield settings.Settings(data_dir=str(tmp_path), iceberg_warehouse=f"s3://{BUCKET}/warehouse")
    finally:
        server.stop()


def test_commits_and_maintenance_in_an_object_store(config):
    store = opened(config)
    fill(store, COMMITS, COUNT)
    catalog = open_catalog(config)
    before = catalog.load_table(SILVER.table)
    assert before.location().startswith(f"s3://{BUCKET}/warehouse/")
    files = len(before.inspect.files())
    entries = {(entry.table, entry.step): entry for entry in run(config)}
    assert {entry.status for entry in entries.values()} == {"OK"}
    after = catalog.load_table(SILVER.table)
    assert len(after.inspect.files()) < files
    assert entries[SILVER.table, "orphans"].files_after < entries[SILVER.table, "orphans"].files_before
    assert held(config) == once(COMMITS * COUNT)
    assert store.positions(SILVER)[0].offset == COMMITS * COUNT - 1
    assert held(config, KRAKEN.table) == once(COMMITS * COUNT)
