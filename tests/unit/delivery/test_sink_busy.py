"""A destination that is slower than what comes: something is always due, and all else still has its turn."""

import asyncio
import itertools
import time
from dataclasses import replace

import pytest

from k2stream.delivery.destination import Policy
from k2stream.delivery.sink import Sink
from tests.unit.delivery.memory import ROUTE, Memory, beginning, nowhere, records

TABLES = [replace(ROUTE, table=name) for name in ("one", "two")]
SLOW = 0.02  # s of a write, in which the other table becomes due again


class Slow(Memory):
    def write(self, route, batch):
        time.sleep(SLOW)
        return super().write(route, batch)


@pytest.fixture
async def busy(acks):
    """A running sink that gets a record of each table all the time; its store."""
    store = Slow()
    sink = Sink(store, Policy(SLOW / 10, 10**6, 10**9, SLOW * 3, check_seconds=SLOW * 5), beginning, nowhere)

    async def feed():
        for offset in itertools.count():
            for partition, route in enumerate(TABLES):
                await sink.put(route, records(offset, offset, partition), acks.named((route.table, offset)))
            await asyncio.sleep(SLOW / 20)

    tasks = [asyncio.create_task(sink.run()), asyncio.create_task(feed())]
    yield sink, store
    tasks[1].cancel()
    await sink.close()
    await tasks[0]


async def test_what_is_written_is_acknowledged_while_more_is_due(busy, acks):
    async with asyncio.timeout(60):
        while not {"one", "two"} <= {table for table, _ in acks}:
            await acks.came.wait()
            acks.came.clear()


async def test_a_partition_begins_while_more_is_due(busy, acks):
    sink, store = busy
    await written(store)
    async with asyncio.timeout(60):
        await sink.put(TABLES[0], records(0, 0, partition=2), acks.named("new"))


async def test_the_destination_is_checked_while_more_is_due(busy, monkeypatch):
    _, store = busy
    await written(store)
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def positions(route):
        loop.call_soon_threadsafe(asked.set)
        return Memory.positions(store, route)

    monkeypatch.setattr(store, "positions", positions)
    async with asyncio.timeout(60):
        await asked.wait()


async def written(store):
    """Wait until both tables were written, and once more each."""
    async with asyncio.timeout(60):
        while True:
            if len(store.rows) >= 4:
                return
            await asyncio.sleep(SLOW)
