"""No room on a sink's side: nothing is lost, nothing acknowledged, and it goes on once there is room."""

from collections import Counter
from contextlib import ExitStack

import pytest

from k2stream.embedded import datadir
from k2stream.kafka.lag import LagReader
from tests.fault import report
from tests.fault.full_disks import Tmpfs, limited, mountable
from tests.fault.platforms import caught_up, exact, quiet, recovered, running

pytestmark = pytest.mark.fault

FULL_SECONDS = 25
IN_FLIGHT_SECONDS = 5  # what was written before may still be acknowledged


async def test_a_full_disk_below_clickhouse_and_iceberg(tmp_path):
    """A tmpfs below each tier is filled to the last byte. Needs the right to mount.

    Short form:
    tests/unit/delivery/test_sink.py::test_a_destination_that_is_away_gets_the_same_batch_until_it_has_it.
    """
    if reason := mountable(tmp_path / "trial"):
        pytest.skip(f"no tmpfs can be mounted: {reason}")
    data = tmp_path / "data"
    with datadir.owned(data):
        pass  # it is ours before anything is mounted in it
    with Tmpfs(data / "clickhouse") as hot, Tmpfs(data / "iceberg") as cold:
        async with running(tmp_path, seed=21) as platform:
            await refused(platform, "disk full", {"hot": lambda: hot.full(), "cold": lambda: cold.full()})


async def test_files_that_may_not_grow_below_iceberg(tmp_path):
    """The cold worker may not write a byte more into any file (RLIMIT_FSIZE), as with a quota.

    ClickHouse is left out: engine 26.9 acknowledges an insert whose last file it could not write.
    Short form:
    tests/unit/delivery/test_sink.py::test_a_destination_that_is_away_gets_the_same_batch_until_it_has_it.
    """
    async with running(tmp_path, seed=22) as platform:
        writers = {"cold": lambda: limited(platform.workers["cold"].pid)}
        await refused(platform, "file limit", writers)


async def refused(platform, test, faults):
    """Under each fault its group acknowledges nothing more, whatever waits; then it catches up exactly."""
    injected, waited, waiting = Counter(), [], Counter()
    async with LagReader(platform.settings) as lags:
        for role, fault in faults.items():
            group = f"k2-{role}"
            await quiet(platform, 15)
            with ExitStack() as stack:
                stack.enter_context(fault())
                await quiet(platform, IN_FLIGHT_SECONDS)
                before = await lags._committed(group)
                await quiet(platform, FULL_SECONDS)
                assert await lags._committed(group) == before
                found = sum((await lags.lag([group]))[group].values())
                assert found
                waiting[f"records that {role} held back"] = found
                injected[f"s without room below {role}"] = FULL_SECONDS
            await recovered(platform)
            waited.append(await caught_up(platform, 300))
    restarts = {role: platform.restarts[role] for role in faults}
    checked = await exact(platform)
    checked |= waiting | {
        "offsets acknowledged meanwhile": 0,
        "workers restarted": sum(restarts.values()),
        "s to catch up at most": round(max(waited), 1),
    }
    report.record(test, injected, checked)
