"""ClickHouse killed, away and slow, and its sink killed at every step: F5, F6, F19."""

import asyncio
import os
import random
import shutil
import signal
from collections import Counter

import pytest

from k2stream import topics
from k2stream.clickhouse.destination import connect
from k2stream.model.candle import TIMEFRAMES
from k2stream.platform.platform import Platform
from k2stream.settings import replace
from tests.fault import report
from tests.fault.platforms import caught_up, exact, members, quiet, recovered, running
from tests.fault.relay import Relay

pytestmark = pytest.mark.fault

KILLS = 20
OUTAGE_SECONDS = 120
SLOW_RATE = 2000
FREEZES = (15.0, 15.0, 75.0)  # s; the session is 6, the sink gives an answer 60
MEMORY_GROWTH = 128 << 20  # two buffers of 64 MB at most, and what a fetch brings
TABLES = (
    *(f"bronze_trades_{exchange}" for exchange in topics.EXCHANGES),
    "silver_trades",
    *(f"ohlcv_{timeframe}" for timeframe in TIMEFRAMES),
    "sink_positions",
)


async def kill_clickhouse(platform):
    child = platform.stack.children["clickhouse"]
    child.stopping = True  # its end is wanted: the supervisor is not to give up
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()


def memory(platform: Platform) -> int:
    """Resident bytes of the hot worker."""
    usage = platform.workers["hot"].usage()
    assert usage is not None, "the hot worker is not there"
    return usage.rss


async def test_f05_clickhouse_killed_between_insert_and_answer_and_away_for_2_minutes(tmp_path):
    """F5: kill -9 when an insert is done and its answer not yet read, of each table; then a long outage.

    Short form: tests/integration/test_sinks_clickhouse.py::test_a_server_that_dies_gets_everything_once.
    """
    injected, landed = Counter(), 0
    order = random.Random("F5")
    tables = [*TABLES, *order.choices(TABLES, k=KILLS - len(TABLES))]
    order.shuffle(tables)
    async with running(tmp_path, seed=5) as platform, Relay(platform.settings.clickhouse.port) as relay:
        direct, own = platform.settings, platform.workers["hot"]
        platform.settings = replace(direct, clickhouse_port=relay.port)
        os.kill(own.pid, signal.SIGKILL)
        await own.wait()
        await platform.heal()
        await recovered(platform)
        for wanted in tables:
            lost = asyncio.Event()

            async def kill(table, wanted=wanted, lost=lost):
                if table != wanted or lost.is_set():
                    return lost.is_set()
                lost.set()
                relay.closed = True
                await kill_clickhouse(platform)
                return True

            await quiet(platform, order.uniform(0.5, 3))
            relay.on_answer = kill
            async with asyncio.timeout(120):  # a candle of a longer timeframe may take a while to change
                await lost.wait()
            injected[f"kills after an insert into {wanted.partition('_')[0]}"] += 1
            await platform.stack.restart("clickhouse")
            landed += await asyncio.to_thread(unsaved, direct, wanted)
            relay.on_answer, relay.closed = None, False
        await caught_up(platform, 300, ["k2-hot"])

        await kill_clickhouse(platform)
        await quiet(platform, OUTAGE_SECONDS)
        injected["s of outage"] = OUTAGE_SECONDS
        await platform.stack.restart("clickhouse")
        catching = await caught_up(platform, 300, ["k2-hot"])
        restarts = platform.restarts["hot"]
        checked = await exact(platform)
        rows = await asyncio.to_thread(distinct, direct)
    assert landed, "no kill left rows without their position"
    checked |= {
        "rows in views = positions": rows,
        "bronze rows found without position": landed,
        "inserts answered": sum(relay.answers.values()),
        "hot workers restarted": restarts - 1,
        "s to catch up": round(catching, 1),
    }
    report.record("F5", injected, checked)


def unsaved(settings, table):
    """Rows of a bronze table beyond its saved positions: what an insert left whose answer was lost."""
    if not table.startswith("bronze"):
        return 0
    database = settings.clickhouse.database
    ((rows,),) = connect(settings.clickhouse).execute(
        f"""SELECT count() FROM {database}.{table} AS held LEFT JOIN (
            SELECT partition, max(last_offset) AS last FROM {database}.sink_positions
            WHERE table = '{table}' GROUP BY partition
        ) AS saved ON held.raw_partition = saved.partition WHERE raw_offset > last"""
    )
    return rows


def distinct(settings):
    """Rows that readers see, each under an identity of its own."""
    client, database, seen = connect(settings.clickhouse), settings.clickhouse.database, 0
    positions = dict.fromkeys(TABLES[:3], "raw_partition, raw_offset")
    positions["silver_trades"] = "exchange, raw_partition, raw_offset"
    views = [(f"{table} FINAL", names) for table, names in positions.items()]
    views += [(f"ohlcv_{timeframe}_view", "exchange, symbol, open_time") for timeframe in TIMEFRAMES]
    for view, names in views:
        ((rows, unique),) = client.execute(f"SELECT count(), uniqExact({names}) FROM {database}.{view}")
        assert rows == unique, view
        seen += rows
    return seen


async def test_f19_a_slow_clickhouse_holds_back_its_worker_in_bounded_memory(tmp_path):
    """F19: SIGSTOP of ClickHouse beyond the session, and beyond the sink's patience, at 2,000 trades/s.

    The hot worker keeps its membership and its memory, the other workers notice nothing. Short form:
    tests/integration/batch/test_flow.py::test_a_slow_agent_pauses_its_topic_and_keeps_its_partitions.
    """
    injected, lags, largest, samples = Counter(), [], 0, 0
    async with running(tmp_path, rate=SLOW_RATE, seed=19) as platform:
        await quiet(platform, 20)
        before = await members(platform, "k2-hot")
        usual = memory(platform)
        assert len(before) == 1
        for seconds in FREEZES:
            front = platform.stack.children["clickhouse"]
            os.kill(front.pid, signal.SIGSTOP)
            try:
                for _ in range(int(seconds)):
                    await quiet(platform, 1)
                    largest = max(largest, memory(platform))
                    samples += 1
                    assert await members(platform, "k2-hot") == before
                await caught_up(platform, 120, ["k2-normalize", "k2-candles"])
            finally:
                os.kill(front.pid, signal.SIGCONT)
            injected["stops"] += 1
            injected["s stopped"] += int(seconds)
            lags.append(await caught_up(platform, 300, ["k2-hot"]))
            largest = max(largest, memory(platform))
        assert await members(platform, "k2-hot") == before
        assert not platform.restarts
        checked = await exact(platform)
    assert largest - usual <= MEMORY_GROWTH, f"{usual >> 20} MB, then {largest >> 20} MB"
    checked |= {
        "memberships sampled": samples,
        "rebalances": 0,
        "MB before": usual >> 20,
        "MB at most": largest >> 20,
        "s to catch up at most": round(max(lags), 1),
    }
    report.record("F19", injected, checked)


async def test_clickhouse_comes_back_as_it_was_some_time_ago_under_running_workers(tmp_path):
    """A restored backup, twice: the second time from before what the first had filled again.

    Short form: tests/unit/delivery/test_sink_went_back.py and tests/property/test_sink_machine.py.
    """
    copy = tmp_path / "copy"
    async with running(tmp_path, seed=21, rate=100) as platform:
        data = platform.settings.local.data_path / "clickhouse"
        await quiet(platform, 8)
        await stopped_clickhouse(platform, lambda: shutil.copytree(data, copy, symlinks=True))
        for _ in (1, 2):
            await quiet(platform, 12)

            def restore():
                shutil.rmtree(data)
                shutil.copytree(copy, data, symlinks=True)

            await stopped_clickhouse(platform, restore)
        await quiet(platform, 8)
        restarts = platform.restarts["hot"]
        checked = await exact(platform)
    report.record("A3", {"ClickHouse restored": 2}, checked | {"hot workers restarted": restarts})


async def stopped_clickhouse(platform, change):
    """Stop it, change its folder, start it; the workers run on."""
    await platform.stack.children["clickhouse"].stop(5)
    await asyncio.to_thread(change)
    await platform.stack.restart("clickhouse")
