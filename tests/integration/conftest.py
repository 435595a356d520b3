"""The embedded stack, started once per run."""

from pathlib import Path

import pytest_asyncio

from k2stream import settings
from k2stream.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_stack(tmp_path_factory):
    """The Stack itself, for tests that restart parts of it; they need `loop_scope="session"`."""
    cache = Path(settings.load().cache_dir)
    async with Stack(tmp_path_factory.mktemp("stack"), cache, training=False) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(running_stack):
    """Endpoints of the stack of this run."""
    return running_stack.endpoints
