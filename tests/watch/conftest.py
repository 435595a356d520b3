"""A platform with simulated feeds, watched by a real Prometheus and Alertmanager."""

import os
import subprocess
from contextlib import contextmanager

import pytest
import pytest_asyncio

from k2stream.platform.platform import Platform, Simulation
from k2stream.settings import make
from tests.collector import Collector
from tests.fault.chaos import CLOCKS
from tests.watch.servers import Receiver, alertmanager, prometheus

DISK = "3g"
"""Of the disk that `DiskLow` is made on: a tmpfs, which takes memory only for what is written."""


@contextmanager
def small_disk(folder):
    """A small disk mounted there, where that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "k2-watch", str(folder)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def collector():
    """What the platform sends its traces to."""
    with Collector() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory, collector):
    folder = tmp_path_factory.mktemp("watched")
    given = make(
        data_dir=str(folder / "data"), sink_flush_seconds=0.5, cold_commit_seconds=3.0, refused_seconds=15.0,
        reconnect_base_seconds=0.2, reconnect_cap_seconds=1.0, agreement_delay_seconds=1.0,
        trace_one_in=20, trace_url=collector.url,
    )  # fmt: skip
    clocks = {"PYTHONPATH": str(CLOCKS), "MOVED_CLOCKS": str(folder)}
    with pytest.MonkeyPatch.context() as patch, small_disk(folder):
        for name, value in clocks.items():
            patch.setitem(os.environ, name, value)
        async with Platform(given, Simulation(100, 13)) as running:
            running.longest_pause = 0.0
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
