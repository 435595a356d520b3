"""Three brokers, several workers of each role: restarted, lost, added, scaled under load; nothing differs."""

import os
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fault import report
from tests.fault.cluster import on_cluster
from tests.fault.fleet import Fleet
from tests.fault.platforms import caught_up, exact, quiet, recovered, running
from tests.fault.progress import watched
from tests.fault.test_exchanges import complete

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

EIGHT = dict.fromkeys(
    ("binance_partitions", "kraken_partitions", "coinbase_partitions", "normalized_partitions"), 8
)
RATE = int(os.environ.get("CLUSTER_RATE", "2000"))  # trades/s
STEADY_SECONDS = 15
STALL_SECONDS = 30.0
LOST, ADDED = 3, 4
SEVERAL = 4


def failures(platform):
    """Lines of level critical, and tracebacks, in the logs of workers."""
    found = Counter()
    for path in (platform.settings.local.data_path / "logs").glob("*.log*"):
        for line in path.read_text(errors="replace").splitlines():
            if '"level": "critical"' in line or "Traceback" in line:
                found[f"{path.name}: {line}"] += 1
    return found


@asynccontextmanager
async def under_load(tmp_path, name):
    """A platform on three brokers with a fleet of workers; at the end every layer is exact."""
    async with (
        running(tmp_path, rate=RATE, make_platform=on_cluster, **EIGHT) as platform,
        Fleet(platform) as fleet,
    ):
        began, injected = time.monotonic(), Counter()
        async with watched(platform.settings) as progress:
            yield platform, fleet, progress, injected
            await caught_up(platform, 180)
        seconds = time.monotonic() - began
        trades = await complete(platform)
        checked = await exact(platform)
        failed, restarts = failures(platform), sum(platform.restarts.values())
    checked |= {"trades made": trades, "trades/s": round(trades / seconds), "workers that died": restarts}
    report.record(name, injected, checked | progress.told())
    assert not failed, failed
    assert not restarts
    assert progress.live <= STALL_SECONDS, progress.live_worst


async def test_brokers_come_and_go_under_several_workers_of_each_role(tmp_path):
    """Every broker restarted in turn, one lost for good, one added, which takes the lost one's replicas."""
    async with under_load(tmp_path, "brokers") as (platform, fleet, progress, injected):
        cluster: Any = platform.stack
        progress.name("two workers of each role join")
        await fleet.scale(2)
        progress.name("nothing")
        await quiet(platform, STEADY_SECONDS)
        progress.name("every broker restarted")
        for number in cluster.brokers:
            await cluster.roll(number)
            injected["brokers restarted"] += 1
            await quiet(platform, STEADY_SECONDS)
        progress.name("a broker lost for good")
        await cluster.lose(LOST)
        injected["brokers lost"] += 1
        await quiet(platform, 2 * STEADY_SECONDS)
        await recovered(platform)
        progress.name("a broker added")
        await cluster.add(ADDED)
        injected["replicas moved"] = await cluster.move(LOST, ADDED)
        injected["brokers added"] += 1
        await quiet(platform, STEADY_SECONDS)


async def test_workers_come_and_go_on_three_brokers(tmp_path):
    """Every worker replaced in turn, then 1 → 4 → 1 workers of each role but ingest."""
    async with under_load(tmp_path, "workers") as (platform, fleet, progress, injected):
        await quiet(platform, STEADY_SECONDS)
        progress.name("every worker restarted")
        injected["workers restarted"] = await fleet.roll()
        await quiet(platform, STEADY_SECONDS)
        progress.name(f"1 → {SEVERAL} workers of each role")
        await fleet.scale(SEVERAL)
        await quiet(platform, STEADY_SECONDS)
        progress.name(f"{SEVERAL} → 1 workers of each role")
        await fleet.scale(1)
        injected["workers joined and left"] = 2 * (SEVERAL - 1) * len(fleet.extras)
        await quiet(platform, STEADY_SECONDS)
