"""What a rebalance makes of rows that are buffered, converted or written."""

import asyncio
import threading
from dataclasses import replace

from k2stream.delivery.sink import DestinationUnavailable, Sink
from tests.unit.delivery.memory import (
    NEVER,
    ROUTE,
    Memory,
    beginning,
    nowhere,
    records,
)


async def test_a_rebalance_forgets_what_is_not_durable(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("before"))
    sink.reset()
    await sink.put(ROUTE, records(0, 4), acks.named("after"))
    await sink.flush()
    assert store.rows == {"trades:0:0-4": ["0", "1", "2", "3", "4"]}
    assert acks == ["after"]


async def test_a_rebalance_ends_the_retries_of_what_it_took_away(acks):
    store = Memory()
    store.failures = ["away"] * 10_000
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("before"))
    flush = asyncio.create_task(sink.flush())
    async with asyncio.timeout(60):
        await asyncio.to_thread(store.called.wait)
    sink.reset()
    assert await flush == {}
    assert acks == []


async def test_a_rebalance_during_a_conversion_forgets_it(acks):
    converting, reset = threading.Event(), threading.Event()

    def columns(batch):
        converting.set()
        assert reset.wait(5)
        return ROUTE.columns(batch)

    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(replace(ROUTE, columns=columns), records(0, 2), acks.named("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(converting.wait, 5)
    sink.reset()
    reset.set()
    assert await flush == {}
    assert (store.rows, acks) == ({}, [])


async def test_what_was_written_before_a_rebalance_is_saved_and_not_acknowledged(acks, monkeypatch):
    """Its records are the new owner's to acknowledge. Written again, as the destination was away."""
    store, tried, there = Memory(), threading.Event(), threading.Event()
    saved, sink = store.save, Sink(store, NEVER, beginning, nowhere)

    def save(moves):
        tried.set()
        if not there.is_set():
            raise DestinationUnavailable("positions cannot be saved now")
        saved(moves)

    monkeypatch.setattr(store, "save", save)
    await sink.put(ROUTE, records(0, 2), acks.named("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(tried.wait, 5)
    sink.reset()
    there.set()
    await flush
    written = ("write", "trades:0:0-2")
    assert store.calls == [("open", {0: -1}), written, written, ("save", {0: 2})]
    assert acks == []
