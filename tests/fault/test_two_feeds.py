"""A second ingest worker of an exchange: started by hand, after a frozen first, after a killed one."""

import os
import signal
from collections import Counter

import pytest

from tests.fault import report
from tests.fault.platforms import Extra, exact, quiet, recovered, running, until
from tests.fault.test_exchanges import complete

pytestmark = [pytest.mark.fault, pytest.mark.asyncio]

EXCHANGES = ("kraken", "binance")
"""Kraken's trades have no ids."""

SECONDS = 20


async def test_two_ingest_workers_of_an_exchange_double_no_trade(tmp_path):
    injected = Counter()
    async with running(tmp_path, rate=200) as platform:
        for exchange in EXCHANGES:
            first = platform.workers[f"ingest-{exchange}"]
            async with Extra(platform, "ingest", exchange=exchange) as second:
                await until(second.healthy, 60, f"a second ingest worker of {exchange} is ready", platform)
                await quiet(platform, SECONDS)
                injected["s of two at once"] += SECONDS
                os.kill(first.pid, signal.SIGSTOP)
                injected["frozen beside another"] += 1
                try:
                    await quiet(platform, SECONDS)
                finally:
                    os.kill(first.pid, signal.SIGCONT)
                await quiet(platform, SECONDS / 2)
                os.kill(platform.workers[f"ingest-{exchange}"].pid, signal.SIGKILL)
                injected["killed beside another"] += 1
                await quiet(platform, SECONDS / 2)
                await recovered(platform)
                await second.leave()
            await quiet(platform, SECONDS / 2)
        trades = await complete(platform)
        held = await exact(platform)
    report.record("two feeds", injected, {"trades made": trades, **held})
