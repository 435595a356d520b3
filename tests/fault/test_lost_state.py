"""Lost, cut, expired and put back: refused or read again, mended, and nothing differs afterwards."""

import random

import pytest

from tests.fault import report
from tests.fault.lost_state import LostState
from tests.fault.platforms import exact, minutes_of_silver, quiet, running

pytestmark = [pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

KINDS = [
    "changelogs of normalize made anew",
    "changelogs of candles made anew",
    "raw topic made anew",
    "canonical topic made anew",
    "candle topics made anew",
    "raw log cut",
    "raw log cut unread by cold",
    "raw log cut unread by normalize",
    "raw log cut below what was normalized",
    "raw expired unread",
    "canonical expired unread",
    "ClickHouse put back",
    "Iceberg put back",
]


ONE_AFTER_THE_OTHER = [
    "raw topic made anew",
    "changelogs of candles made anew",
    "raw log cut",
    "canonical expired unread",
    "changelogs of normalize made anew",
    "raw expired unread",
    "changelogs of candles made anew",
]
"""What a mend goes by may itself be what another one has mended."""


@pytest.mark.parametrize("kind", KINDS)
async def test_lost_state_is_refused_or_read_again_and_nothing_differs_once_it_is_mended(kind, tmp_path):
    async with running(tmp_path, rate=60) as platform:
        lost = LostState(platform, random.Random(kind))
        await quiet(platform, 12)
        await lost.kinds[kind]()
        await quiet(platform, 8)
        checked = await exact(platform, whole=False)
        checked["minutes"] = minutes_of_silver(platform, checked["late trades"])
    report.record(f"state: {kind}", {"faults": 1, "refusals": lost.refusals}, checked)


async def test_lost_states_one_after_the_other_leave_no_difference_either(tmp_path):
    async with running(tmp_path, rate=60) as platform:
        lost = LostState(platform, random.Random(1))
        await quiet(platform, 12)
        for kind in ONE_AFTER_THE_OTHER:
            await lost.kinds[kind]()
            await quiet(platform, 5)
            checked = await exact(platform, whole=False)
            checked["minutes"] = minutes_of_silver(platform, checked["late trades"])
            await platform.start_feeds()
    report.record("states", {"faults": len(ONE_AFTER_THE_OTHER), "refusals": lost.refusals}, checked)
