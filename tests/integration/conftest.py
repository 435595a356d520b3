"""The embedded stack, started once per run."""

from pathlib import Path
from typing import NamedTuple

import pyiceberg.catalog
import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem
from pyiceberg.utils.config import Config

from k2stream import settings
from k2stream.embedded.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_stack(tmp_path_factory):
    """The Stack itself, for tests that restart parts of it; they need `loop_scope="session"`."""
    cache = Path(settings.load().local.cache_dir)
    async with Stack(tmp_path_factory.mktemp("stack"), cache, training=False) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(running_stack):
    """Endpoints of the stack of this run."""
    return running_stack.endpoints


class Bucket(NamedTuple):
    url: str
    endpoint: str


@pytest.fixture(scope="module")
def bucket():
    """A bucket of an object store (moto's server, over HTTP), which pyiceberg's own configuration names."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    names = {"ENDPOINT": endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
    try:
        S3FileSystem(
            access_key="a", secret_key="b", endpoint_override=endpoint, allow_bucket_creation=True
        ).create_dir("k2-cold")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in names.items():
                patch.setenv(f"PYICEBERG_CATALOG__K2__S3__{name}", value)
            patch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())  # read once, at import
            yield Bucket("s3://k2-cold", endpoint)
    finally:
        server.stop()
