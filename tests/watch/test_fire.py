"""Alerts fire on real faults, reach a real Alertmanager and a webhook, and resolve when the fault is gone.

These five are the short form; test_fire_all.py has the others.
"""

import os
import signal

import httpx
import pytest

from tests.fault.platforms import kept_alive
from tests.watch.firing import fires, inject, resolves
from tests.watch.servers import until

pytestmark = [pytest.mark.watch, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 60


async def test_nothing_fires_while_all_is_well(watched, platform):
    async def scraped():
        async with httpx.AsyncClient(base_url=watched) as client:
            found = (await client.get("/api/v1/query", params={"query": "up == 1"})).json()
        return len(found["data"]["result"]) == len(platform.urls)

    await until(scraped, SECONDS)
    async with httpx.AsyncClient(base_url=watched) as client:
        alerts = (await client.get("/api/v1/alerts")).json()["data"]["alerts"]
    assert not [alert for alert in alerts if alert["state"] == "firing"], alerts


async def test_dead_letters(watched, platform, receiver):
    await inject(platform, exchange="binance", kind="garbage", count=3)
    await fires(receiver, "DeadLettersGrowing")
    await resolves(receiver, "DeadLettersGrowing")


async def test_a_feed_that_is_down(watched, platform, receiver):
    await inject(platform, exchange="kraken", kind="refuse", seconds=20)
    await inject(platform, exchange="kraken", kind="abort")
    await fires(receiver, "FeedDown")
    await fires(receiver, "FeedSilent")
    await resolves(receiver, "FeedDown")
    await resolves(receiver, "FeedSilent")


async def test_a_worker_that_ended(watched, platform, receiver):
    os.kill(platform.workers["normalize"].pid, signal.SIGKILL)
    await fires(receiver, "WorkerDown")
    async with kept_alive(platform):
        await resolves(receiver, "WorkerDown")


async def test_a_sink_that_stands_still(watched, platform, receiver):
    os.kill(platform.stack.children["clickhouse"].pid, signal.SIGSTOP)
    try:
        await fires(receiver, "SinkBehind")
    finally:
        os.kill(platform.stack.children["clickhouse"].pid, signal.SIGCONT)
    await resolves(receiver, "SinkBehind")
