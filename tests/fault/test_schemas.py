"""The registry asked by many at once while it starts, and killed beside the stream: F17."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from k2stream.embedded import jars
from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.registry import Registry
from k2stream.settings import load
from tests.fault import report
from tests.fault.platforms import GROUPS, answers, caught_up, exact, quiet, recovered, running

pytestmark = pytest.mark.fault

PROCESSES = 10
OUTAGE_SECONDS = 20


@pytest.fixture
def cache():
    """Where the registry's jars are."""
    return Path(load().local.cache_dir).expanduser()


async def test_f17_ten_processes_register_while_the_registry_starts(tmp_path, cache):
    """F17: one version of each schema, of which all have the same id.

    Short form: tests/integration/test_registry.py::test_workers_that_register_at_once_agree and
    test_a_registry_that_starts_late_is_waited_for.
    """
    port = free_port()
    url = f"http://{HOST}:{port}/apis/ccompat/v7"
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fault.registering", url),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    started = Registry(tmp_path, port, jars.registry_home(cache), cache, tmp_path / "registry.log")
    child = await started.start()
    try:
        async with asyncio.timeout(90):
            said = [json.loads((await process.communicate())[0]) for process in processes]
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            versions = {
                topic: (await client.get(f"{url}/subjects/{topic}-value/versions")).json()
                for topic in said[0]
            }
            rules = {
                topic: (await client.get(f"{url}/config/{topic}-value")).json()["compatibilityLevel"]
                for topic in said[0]
            }
    finally:
        await child.stop(5)
    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert all(ids == said[0] for ids in said)
    assert len(set(said[0].values())) == 2  # trades and candles
    assert set(map(tuple, versions.values())) == {(1,)}
    assert set(rules.values()) == {"BACKWARD"}
    report.record(
        "F17",
        {"processes": PROCESSES, "registrations": PROCESSES * len(versions)},
        {"subjects of one version": len(versions), "schema ids": len(set(said[0].values()))},
    )


async def test_f17_the_registry_killed_beside_the_stream_and_away_when_workers_start(tmp_path):
    """F17: workers that run go on from what they know; those that start wait for the registry.

    Short form: tests/integration/test_registry.py::test_a_registry_that_starts_late_is_waited_for.
    """
    injected, served = Counter(), Counter()
    async with running(tmp_path, seed=17) as platform:
        await quiet(platform, 10)
        before = await day(platform)
        registry = platform.stack.children["registry"]
        registry.stopping = True  # its end is wanted: the supervisor is not to give up
        os.kill(registry.pid, signal.SIGKILL)
        await registry.wait()
        injected["kill -9 registry"] += 1
        for _ in range(OUTAGE_SECONDS):
            await quiet(platform, 1)
            served[await answers(platform.urls["candles"] + "/health")] += 1
            later = await day(platform)
            assert later >= before
            served["answers of REST"] += 1
        assert later > before, "REST stands still without the registry"
        await caught_up(platform, 300)
        assert not platform.restarts

        for role in GROUPS:
            os.kill(platform.workers[role].pid, signal.SIGKILL)
            await platform.workers[role].wait()
            await platform.heal()
            injected["workers started without registry"] += 1
        await quiet(platform, OUTAGE_SECONDS)
        injected["s without registry"] = 2 * OUTAGE_SECONDS
        waited = sum([await answers(f"{platform.urls[role]}/health") != 200 for role in GROUPS])
        await platform.stack.restart("registry")
        await recovered(platform)
        caught = await caught_up(platform, 300)
        again = sum(platform.restarts.values()) - len(GROUPS)
        checked = await exact(platform)
    assert served == {200: OUTAGE_SECONDS, "answers of REST": OUTAGE_SECONDS}
    checked |= {
        "answers of REST without registry": OUTAGE_SECONDS,
        "workers that waited": waited,
        "further restarts": again,
        "s to catch up": round(caught, 1),
    }
    report.record("F17 outage", injected, checked)


async def day(platform):
    """Trades in a candle of this day, as REST says."""
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.get(
            f"{platform.urls['candles']}/ohlcv/binance/BTC-USDT/1d", params={"limit": 1}
        )
    answer.raise_for_status()
    return answer.json()["candles"][0]["trade_count"]
