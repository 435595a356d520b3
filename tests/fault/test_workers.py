"""Workers killed, joining, leaving, frozen and wiped, against the oracle: F1, F2, F3, F18."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from itertools import count

import httpx
import pytest

from k2stream import instruments, topics
from k2stream.model.candle import TIMEFRAMES
from k2stream.reconcile.oracle import candles
from tests.fault import report
from tests.fault.chaos import ROLES, Chaos
from tests.fault.platforms import (
    FOUR,
    GROUPS,
    Extra,
    caught_up,
    exact,
    members,
    published,
    quiet,
    recovered,
    running,
    until,
)
from tests.fault.progress import watched

pytestmark = pytest.mark.fault

KILLS = 20
KILL_SECONDS = 2.2  # mean time between two kills, of whichever workers
JOIN_SECONDS, JOINS = 5.0, 60
STALL_SECONDS = 30.0
MINUTE = 60.0
FROZEN_SECONDS = 22.0  # beyond the session's 6; after 30 a worker that wakes ends itself
TABLES = (
    *(f"ohlcv_{timeframe}" for timeframe in TIMEFRAMES),
    "candle_progress",
    *(f"positions_{exchange}" for exchange in topics.EXCHANGES),
)


async def test_f01_every_role_killed_twenty_times(tmp_path):
    """F1: kill -9 of each worker 20 times at seeded moments, others still recovering; nothing differs.

    Short form: tests/integration/test_normalize.py::test_kills_lose_and_change_nothing and
    test_candles.py::test_candles_are_exact_after_kills_with_open_windows.
    """
    moments = random.Random("F1")
    victims = list(ROLES) * KILLS
    moments.shuffle(victims)
    async with running(tmp_path, seed=1) as platform:
        chaos = Chaos(platform, seed=1)
        for victim in victims:
            await quiet(platform, min(moments.expovariate(1 / KILL_SECONDS), 4 * KILL_SECONDS))
            await chaos.kill(victim)
        checked = await exact(platform)
    assert chaos.done == {f"kill -9 {role}": KILLS for role in ROLES}
    report.record("F1", chaos.done, checked)


async def test_f02_workers_come_and_go_every_five_seconds(tmp_path):
    """F2: every 5 s for 5 minutes a second worker of some role joins, or leaves: by SIGTERM, by kill -9.

    Short form: tests/integration/batch/test_exactness.py::test_a_join_and_a_leave_repeat_nothing.
    """
    injected, number = Counter(), count()
    order = random.Random("F2")
    extras = {}
    async with running(tmp_path, seed=2, **FOUR) as platform:
        async with watched(platform.settings) as progress:
            for step in range(JOINS):
                if step % 3 == 0:
                    turn = order.sample(["normalize", "candles", "hot"], 3)
                role = turn[step % 3]
                if role not in extras:
                    extras[role] = await Extra(platform, role, next(number)).__aenter__()
                    injected[f"joins of {role}"] += 1
                elif injected[f"leaves of {role}"] == injected[f"kills of {role}"]:
                    await extras.pop(role).leave()
                    injected[f"leaves of {role}"] += 1
                else:
                    await extras.pop(role).kill()
                    injected[f"kills of {role}"] += 1
                await quiet(platform, JOIN_SECONDS)
            for extra in extras.values():
                await extra.leave()
            await recovered(platform)
            await caught_up(platform, 600)
        restarts = sum(platform.restarts.values())
        checked = await exact(platform)
    assert progress.samples > JOINS * JOIN_SECONDS / 3
    assert progress.longest <= STALL_SECONDS, progress.worst
    checked |= {
        "samples of progress": progress.samples,
        "s longest stand": round(progress.longest, 1),
        "own workers restarted": restarts,
    }
    report.record("F2", injected, checked)


async def test_f03_a_frozen_worker_wakes_as_a_zombie_and_adds_nothing(tmp_path):
    """F3: SIGSTOP of each consumer beyond its session, past the end of a minute; another takes over; SIGCONT.

    Short form: tests/integration/batch/test_takeover.py::test_a_frozen_worker_returns_without_harm.
    """
    injected, woken = Counter(), 0
    async with running(tmp_path, seed=3, **FOUR) as platform:
        for role, group in GROUPS.items():
            zombie = platform.workers[role]
            async with Extra(platform, role) as other:
                await until(other.healthy, 90, f"a second {role} worker is ready", platform)

                async def both(group=group):
                    return len(await members(platform, group)) == 2

                async def alone(group=group):
                    return len(await members(platform, group)) == 1

                await until(both, 90, f"two members of {group}", platform)
                if role == "candles":  # frozen amid a minute, it wakes when that has closed without it
                    await quiet(platform, (MINUTE + 48 - time.time() % MINUTE) % MINUTE)
                os.kill(zombie.pid, signal.SIGSTOP)
                injected[f"SIGSTOP {role}"] += 1
                try:
                    began = time.monotonic()
                    await until(alone, 60, f"{group} gave the frozen worker up", platform)
                    await until(other.healthy, 60, f"the second {role} worker has all partitions", platform)
                    await caught_up(platform, 300, [group])
                    await quiet(platform, began + FROZEN_SECONDS - time.monotonic())
                finally:
                    os.kill(zombie.pid, signal.SIGCONT)
                injected["s frozen"] += round(time.monotonic() - began)
                await asyncio.sleep(5)  # not to be healed: does it live?
                woken += zombie.returncode is None
                await until(both, 90, f"the zombie, or a new worker, is back in {group}", platform)
                await recovered(platform)
                await caught_up(platform, 300, [group])
                await other.leave()
            await recovered(platform)
            await caught_up(platform, 300, [group])
        checked = await exact(platform)
        finals = defaultdict(set)
        for window, candle in (await published(platform)).items():
            if candle.final:
                finals[window[:3]].add(candle)
    several = {window: found for window, found in finals.items() if len(found) > 1}
    assert not several, (
        f"{len(several)} windows of {len(finals)} have two finals: {list(several.items())[:2]}"
    )
    checked |= {
        "final candles": len(finals),
        "windows with two finals": len(several),
        "zombies that woke": woken,
    }
    report.record("F3", injected, checked)


async def test_f18_every_state_folder_wiped_in_turn(tmp_path):
    """F18: kill -9 and an empty state folder for each worker, in turn, under load and at rest.

    At rest the tables are rebuilt as they were, and REST answers 503 until they are: what it says with 200
    is the whole truth. Short form:
    tests/integration/test_replays.py::test_rest_refuses_while_its_table_recovers_and_then_says_what_the_table_holds.
    """
    injected = Counter()
    async with running(tmp_path, seed=18, **FOUR) as platform:

        async def wipe(name):
            os.kill(platform.workers[name].pid, signal.SIGKILL)
            await platform.workers[name].wait()
            shutil.rmtree(platform.settings.local.data_path / "workers" / f"k2-{name}")
            injected[f"wipes of {name}"] += 1
            await platform.heal()

        for name in ROLES:
            await quiet(platform, 5)
            await wipe(name)
            await recovered(platform)
        await caught_up(platform, 600)
        checked = await exact(platform)

        before, served = await exported(platform), await rest(platform)
        statuses, compared = Counter(), 0
        for name in ("normalize", "candles"):
            await wipe(name)
            while not await platform.is_ready():
                await platform.heal()
                compared += await polled(platform, served, statuses)
        compared += await polled(platform, served, statuses)
        after = await exported(platform)
        for table, rows in before.items():
            assert same(rows, after[table]), table
        rebuilt = await rest(platform)
        assert rebuilt.keys() == served.keys()
        assert all(unclosed(candle) == unclosed(served[key]) for key, candle in rebuilt.items())
    assert statuses[503]
    assert compared
    checked |= {
        "tables": len(before),
        "rows in them": sum(map(len, before.values())),
        "candles rebuilt": len(rebuilt),
        "answers of 503": statuses[503],
        "answers of 200": statuses[200],
        "candles in these": compared,
    }
    report.record("F18", injected, checked)


async def exported(platform):
    """{table: {row's key: row}} of every table, from its changelog."""
    return {name: await export(platform, name) for name in TABLES}


async def export(platform, name):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "k2stream", "table", "export", name),
        env=platform._environment(platform.settings),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    rows = map(json.loads, said.splitlines())
    return {tuple(row.get(part) for part in ("key", "exchange", "symbol", "open_time")): row for row in rows}


def same(before, after):
    """Equal, but for windows that the clock has closed meanwhile: final, one revision later."""
    return before.keys() == after.keys() and all(
        row == after[key] or {**row, "final": True, "revision": row["revision"] + 1} == after[key]
        for key, row in before.items()
    )


async def rest(platform):
    """Every candle that REST serves from the tables."""
    listed = candles.listed(platform.settings.feeds)
    found = await candles.served(platform.settings, platform.urls["candles"], listed)
    return {
        (item["exchange"], item["symbol"], item["timeframe"], item["open_time"]): {
            name: value for name, value in item.items() if name not in candles.TEXT
        }
        for item in found
    }


def unclosed(candle):
    """Its content before the clock closed it."""
    volatile = {"final": None, "feed_healthy": None, "revision": candle["revision"] - candle["final"]}
    return candle | volatile


async def polled(platform, served, statuses):
    """Ask for every timeframe of one instrument; whatever is answered must be all that was served before."""
    listed = list(instruments.load(platform.settings.feeds.instruments_file))
    item = listed[sum(statuses.values()) // len(TIMEFRAMES) % len(listed)]
    compared = 0
    async with httpx.AsyncClient(timeout=10, base_url=platform.urls["candles"]) as client:
        for timeframe in TIMEFRAMES:
            path = f"/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/{timeframe}"
            try:
                answer = await client.get(path, params={"limit": 500, "source": "tables"})
            except httpx.TransportError:
                statuses["none"] += 1
                continue
            statuses[answer.status_code] += 1
            if answer.status_code == httpx.codes.OK:
                mine = (item.exchange, item.symbol, timeframe)
                wanted = {key[3]: unclosed(candle) for key, candle in served.items() if key[:3] == mine}
                listing = answer.json()["candles"]
                found = {candle["open_time"]: unclosed(candle) for candle in listing}
                assert found == wanted, (item, timeframe)
                compared += len(found)
    return compared
