"""`k2 partitions` on a platform's data: killed at every step, run again, and nothing differs."""

import asyncio
import re
import signal
import sys
import time

import pytest

from k2stream.kafka import counts
from k2stream.platform.platform import WORKERS
from tests.fault import report
from tests.fault.platforms import GROUPS, caught_up, exact, quiet, running

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

TWO = dict.fromkeys(
    ("binance_partitions", "kraken_partitions", "coinbase_partitions", "normalized_partitions"), 2
)
KILLS = (
    "create_partitions:1",  # the change is marked as begun
    *("occupy:1", "delete_records:1", "occupy:1", "delete_records:1"),  # of one new partition, and the other
    *("send:1", "send:20", "tombstone:1", "tombstone:9", "tombstone:20"),
    *("open:1", "open:2", "open:2", "open:2"),  # two partitions of two sinks, each begun where the last ended
    *("commit:1", "commit:2", "commit:3", "delete_topics:1"),
)
SECONDS = 600


async def command(platform, *words):
    """Run a module beside the platform; its exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        env=platform._environment(platform.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    return process.returncode, said.decode()


async def partitions(platform, kill, name, count):
    """`k2 partitions`, killed before a step, or ("-") to its end."""
    return await command(platform, "tests.fault.dying_partitions", kill, name, str(count))


async def at_rest(platform):
    """The platform without workers, when all but the sinks have read everything."""
    await platform.stop_feeds()
    await caught_up(platform, 120, [GROUPS[role] for role in ("normalize", "candles", "certify")])
    await platform.stop_workers()


async def grown(platform, name, count, kills=()):
    """Change a count at rest, and start everything again, with trades that came meanwhile."""
    await at_rest(platform)
    await platform.start_feeds()
    for kill in kills:
        code, said = await partitions(platform, kill, name, count)
        assert code == -signal.SIGKILL, (kill, said)
    if kills:
        code, said = await command(platform, "k2stream", "worker", "hot")
        told = re.findall(r"has not ended: run `\S*k2 partitions binance 4`", said)
        assert (code, len(told)) == (1, 1), said
    code, said = await partitions(platform, "-", name, count)
    assert code == 0, said
    found, begun = await counts.found(platform.settings.kafka)
    assert begun is None
    assert found[counts.topic_of(name)] == count
    platform.settings = counts.agreeing(platform.settings, found)
    await platform.start_workers(WORKERS)


async def right(platform):
    """Every layer is as a rebuild from the raw records has it, and what the tables say is there."""
    code, said = await command(platform, "k2stream", "replay", "--json")
    assert code == 0, said
    for role in ("normalize", "candles", "certify"):
        code, said = await command(platform, "k2stream", "mend", role, "--yes")
        assert code == 0, said
        assert "are what its state refers to" in said


async def test_a_count_that_grows_on_a_platforms_data_leaves_no_difference_killed_at_every_step(tmp_path):
    async with running(tmp_path, rate=150, **TWO) as platform:
        await quiet(platform, 15)
        began = time.monotonic()
        await grown(platform, "binance", 4, KILLS)
        seconds = round(time.monotonic() - began)
        await quiet(platform, 15)
        await exact(platform)
        await right(platform)
        await platform.start_feeds()
        await grown(platform, "kraken", 4)
        await quiet(platform, 5)
        await grown(platform, "binance", 8)
        await quiet(platform, 10)
        checked = await exact(platform)
        await right(platform)
    report.record("partitions 2 → 4 → 8", {"kills": len(KILLS), "seconds": seconds}, checked)
