"""Three brokers, each restarted in turn, then one lost for good: tests/fault/test_cluster.py in short.

How long anything stood still is measured there.
"""

from typing import Any

import pytest

from tests.fault.cluster import on_cluster
from tests.fault.platforms import FOUR, Extra, exact, quiet, recovered, running, until
from tests.fault.test_exchanges import complete

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

RATE = 200
QUIET_SECONDS = 5
LOST = 2


async def test_brokers_restarted_in_turn_and_one_lost_cost_no_trade(tmp_path):
    async with (
        running(tmp_path, rate=RATE, make_platform=on_cluster, **FOUR) as platform,
        Extra(platform, "normalize") as second,
    ):
        cluster: Any = platform.stack
        await until(second.healthy, 60, "a second normalize worker is ready", platform)
        await quiet(platform, QUIET_SECONDS)
        for number in cluster.brokers:
            await cluster.roll(number)
            await quiet(platform, QUIET_SECONDS)
        await cluster.lose(LOST)
        await quiet(platform, 3 * QUIET_SECONDS)
        await recovered(platform)
        assert await second.healthy()
        await complete(platform)
        await exact(platform)
        assert not platform.restarts
