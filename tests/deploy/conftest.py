"""The image, built in a folder as the Dockerfile says, and the servers of the compose file as processes."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from k2stream import settings
from k2stream.embedded.stack import Stack
from tests.deploy.containers import USER
from tests.deploy.dockerfile import STAGES, Build, chain
from tests.integration.catalog_servers import Postgres


@pytest.fixture(scope="session")
def image():
    """The root folder of the image for workers: others read it, and write only to /var/lib/k2 and /tmp."""
    assert os.geteuid() == 0, "these tests start processes of another user: run them as root"
    root = Path(tempfile.mkdtemp(prefix="k2-image-"))
    root.chmod(0o755)
    try:
        build = Build(root)
        build.base()
        for stage in chain("workers-build"):
            build.carry_out(stage)
        build.only_copies(STAGES["runtime"])
        shutil.rmtree(root / "src")
        for folder in ("var/lib/k2", "tmp"):
            (root / folder).mkdir(parents=True)
            os.chown(root / folder, USER, USER)
            (root / folder).chmod(0o700)
        yield root
    finally:
        shutil.rmtree(root)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory):
    """Addresses of broker, registry, ClickHouse, catalog and object store, by those in the compose file."""
    cache = Path(settings.load().local.cache_dir)
    store = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    catalog = Postgres()
    try:
        store.start()
        catalog.start()
        host, port = store.get_host_and_port()
        S3FileSystem(
            access_key="a",
            secret_key="b",
            endpoint_override=f"http://{host}:{port}",
            allow_bucket_creation=True,
        ).create_dir("lake")
        async with Stack(tmp_path_factory.mktemp("stack"), cache, training=False) as stack:
            at = stack.endpoints
            yield {
                "redpanda:9092": at.bootstrap,
                "registry:8080": at.registry_url.split("/")[2],
                "clickhouse:9000": f"{at.clickhouse_host}:{at.clickhouse_port}",
                "postgres:5432/iceberg": f"127.0.0.1:{catalog.port}/postgres",
                "minio:9000": f"{host}:{port}",
            }
    finally:
        catalog.close()
        store.stop()
