"""The alerts that test_fire.py leaves out: of minutes, in `make fault` and `make test-watch ALL=1`."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from k2stream import topics
from k2stream.iceberg.catalog import open_catalog, sqlite_path
from k2stream.kafka.reader import Reader
from k2stream.platform.platform import WORKERS
from k2stream.settings import replace
from tests import kafka
from tests.fault.lost_state import LostState
from tests.fault.platforms import caught_up, kept_alive, quiet, recovered
from tests.watch.firing import fires, inject, resolves
from tests.watch.servers import until

MISSING = [name for name in ("prometheus", "prometheus-alertmanager") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: see `make test-watch`"),
    pytest.mark.asyncio(loop_scope="session"),
]

SECONDS = 180
LOW_BYTES = 2_000_000_000
"""Free bytes below which DiskLow fires."""


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def all_is_well(watched, platform):
    """Before each: every worker is ready, so that what fires is of its fault."""
    await recovered(platform)


async def test_candles_that_differ_from_the_exchanges_own(platform, receiver):
    """Before faults that take trades away, from which candles differ as well."""
    await inject(platform, exchange="binance", kind="wrong_kline", count=20)
    await fires(receiver, "AgreementLost", SECONDS)
    await resolves(receiver, "AgreementLost", SECONDS)


async def test_symbols_that_are_refused(platform, receiver):
    await inject(platform, exchange="kraken", kind="refuse_symbol", symbol="XBT/USD", count=40)
    await inject(platform, exchange="kraken", kind="take_away", symbol="XBT/USD")
    await fires(receiver, "SymbolRefused", SECONDS)
    await fires(receiver, "NoSubscription", SECONDS)
    await resolves(receiver, "NoSubscription", SECONDS)
    await resolves(receiver, "SymbolRefused", SECONDS)


async def test_a_clock_that_is_wrong(platform, receiver):
    clock = Path(os.environ["MOVED_CLOCKS"]) / "ingest-kraken"
    clock.write_text("20")
    try:
        await fires(receiver, "EventLagHigh", SECONDS)
    finally:
        clock.write_text("0")
    await resolves(receiver, "EventLagHigh", SECONDS)


async def test_missed_trades_that_cannot_be_fetched(platform, receiver):
    await inject(platform, exchange="binance", kind="rest", seconds=90)
    await inject(platform, exchange="binance", kind="drop", count=5)
    await fires(receiver, "GapUnfilled", SECONDS)
    await resolves(receiver, "GapUnfilled", 2 * SECONDS)


async def test_a_destination_that_is_away(platform, receiver):
    async with _away(platform, "clickhouse"):
        await fires(receiver, "SinkFailing", SECONDS)
        await fires(receiver, "ConsumerLagGrowing", SECONDS)
    await resolves(receiver, "SinkFailing", SECONDS)
    await platform.stop_feeds()  # on a machine that does much else, the workers would not catch up
    try:
        await resolves(receiver, "ConsumerLagGrowing", SECONDS)
    finally:
        await platform.start_feeds()


async def test_a_registry_that_is_away_when_a_worker_starts(platform, receiver):
    """Its agents wait for the schema, with records before them."""
    worker = platform.workers["normalize"]
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    async with _away(platform, "registry"):
        await platform.stop_feeds()  # what is read meanwhile would be progress
        await platform.heal()
        await fires(receiver, "PartitionStalled", SECONDS)
    await platform.start_feeds()
    async with kept_alive(platform):
        await resolves(receiver, "PartitionStalled", SECONDS)


async def test_a_table_that_does_not_recover(platform, receiver):
    """Its worker starts, and the broker answers no more."""
    worker, broker = platform.workers["candles"], platform.stack.children["kafka"]
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    await platform.heal()
    await until(lambda: _starting(platform.urls["candles"]), SECONDS)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        await fires(receiver, "TableRecovering", SECONDS)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    async with kept_alive(platform):
        await resolves(receiver, "TableRecovering", SECONDS)


async def test_a_state_that_does_not_fit(platform, receiver):
    losing = asyncio.create_task(LostState(platform, random.Random(1)).changelogs("normalize"))
    await fires(receiver, "StateRefused", SECONDS)
    await losing
    await resolves(receiver, "StateRefused", SECONDS)


async def test_records_that_expire_unread(platform, receiver):
    topic, lost = topics.raw("kraken"), LostState(platform, random.Random(2))
    async with lost._held_back("hot"):
        await quiet(platform, 5)
        await platform.stop_feeds()
        await caught_up(platform, SECONDS, ["k2-normalize", "k2-cold"])
        async with Reader(platform.settings.kafka) as reader:
            ends = await reader.retained(topic, platform.settings.kafka.raw_partitions("kraken"))
        for partition, (_, end) in ends.items():
            await kafka.expire(platform.settings.kafka.bootstrap, topic, partition, end)
        await platform.start_feeds()
    await fires(receiver, "OffsetsExpired", SECONDS)
    await resolves(receiver, "OffsetsExpired", SECONDS)


async def test_a_catalog_that_takes_no_commit(platform, receiver):
    with _locked(sqlite_path(open_catalog(platform.settings.iceberg).properties["uri"])):
        await fires(receiver, "ColdCommitLate", SECONDS)
    await resolves(receiver, "ColdCommitLate", SECONDS)


async def test_a_file_of_a_cold_table_that_is_gone(platform, receiver):
    table = open_catalog(platform.settings.iceberg).load_table("cold.bronze_trades_kraken")
    file = Path(urlsplit(table.inspect.files()["file_path"][0].as_py()).path)
    with _gone(file):
        await _maintained_soon(platform)
        await fires(receiver, "MaintenanceFailed", SECONDS)
        await fires(receiver, "AuditFailed", SECONDS)
    await _maintained_soon(platform)
    await resolves(receiver, "MaintenanceFailed", SECONDS)
    await resolves(receiver, "AuditFailed", SECONDS)


async def test_a_disk_that_fills_up(platform, receiver):
    folder = platform.settings.local.data_path
    if shutil.disk_usage(folder).total > 2 * LOW_BYTES:
        pytest.skip("no small disk can be mounted here: it takes the superuser's rights")
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - LOW_BYTES + (100 << 20))
    try:
        await fires(receiver, "DiskLow", SECONDS)
    finally:
        ballast.unlink()
    await resolves(receiver, "DiskLow", SECONDS)


@asynccontextmanager
async def _away(platform, part):
    """Without a part of the stack."""
    child = platform.stack.children[part]
    child.stopping = True  # its end is wanted
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    try:
        yield
    finally:
        await platform.stack.restart(part)


async def _starting(url):
    """Whether a worker serves its pages and is not ready."""
    try:
        async with httpx.AsyncClient(verify=False) as client:
            return (await client.get(f"{url}/health")).status_code == 503
    except httpx.TransportError:
        return False


@contextmanager
def _gone(file):
    """Without a file."""
    file.rename(file.with_suffix(".gone"))
    try:
        yield
    finally:
        file.with_suffix(".gone").rename(file)


@contextmanager
def _locked(file):
    """A SQLite file that another process writes, and does not commit: it can be read, and not written."""
    connection = sqlite3.connect(file, timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


async def _maintained_soon(platform):
    """The daily maintenance of the cold worker is due at the next minute."""
    at = datetime.now(UTC) + timedelta(seconds=75)
    platform.settings = replace(platform.settings, cold_maintain_at=f"{at:%H:%M}")
    await platform.workers["cold"].stop(10)
    await platform._start_worker(next(spec for spec in WORKERS if spec.role == "cold"))
    await recovered(platform)
