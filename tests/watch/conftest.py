"""A platform with simulated feeds, watched by a real Prometheus and Alertmanager."""

import pytest_asyncio

from k2stream.platform.platform import Platform, Simulation
from k2stream.settings import make
from tests.watch.servers import Receiver, alertmanager, prometheus


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory):
    given = make(
        data_dir=str(tmp_path_factory.mktemp("watched")), sink_flush_seconds=0.5, cold_commit_seconds=3.0,
        reconnect_base_seconds=0.2, reconnect_cap_seconds=1.0, agreement_delay_seconds=1.0,
    )  # fmt: skip
    async with Platform(given, Simulation(100, 13)) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def receiver():
    return Receiver()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def watched(platform, receiver, tmp_path_factory):
    """The base URL of the Prometheus that watches the platform."""
    folder = tmp_path_factory.mktemp("watch")
    async with (
        receiver.serving() as webhook,
        alertmanager(folder, webhook) as alerts,
        prometheus(folder, platform.urls.values(), alerts) as url,
    ):
        yield url
