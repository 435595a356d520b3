"""The delivery contract, against a destination that is away, or loses answers."""

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from k2stream.delivery import buffer as table
from k2stream.delivery import sink as base
from k2stream.delivery.destination import CALM_SECONDS
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.delivery.sink import MissingRows, Policy, Sink
from tests.unit.delivery.memory import (
    NEVER,
    ROUTE,
    SCHEMA,
    TOPIC,
    Acks,
    Memory,
    beginning,
    nowhere,
    records,
)


async def test_rows_then_positions_then_acknowledgement(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    await sink.put(ROUTE, records(0, 1, partition=1), acks.named("b"))
    assert acks == []
    assert await sink.flush() == {"table": 5}
    assert store.calls == [
        ("open", {0: -1}),
        ("open", {1: -1}),
        ("write", "trades:0:0-2,trades:1:0-1"),
        ("save", {0: 2, 1: 1}),
    ]
    assert acks == ["a", "b"]
    assert store.rows == {"trades:0:0-2,trades:1:0-1": ["0", "1", "2", "0", "1"]}


async def test_a_destination_that_is_away_gets_the_same_batch_until_it_has_it(acks):
    store = Memory()
    store.failures = ["away", "answer lost", "away"]
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    flush = asyncio.create_task(sink.flush())
    await asyncio.sleep(0)
    await sink.put(ROUTE, records(3, 4), acks.named("b"))
    await flush
    assert {token for kind, token in store.calls if kind == "write"} == {"trades:0:0-2"}
    assert len(store.calls) == 6
    assert acks == ["a"]
    await sink.flush()
    assert acks == ["a", "b"]


async def test_what_the_destination_holds_is_skipped(acks):
    store = Memory({0: SinkPosition(4)})
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("held"))
    await sink.put(ROUTE, records(3, 6), acks.named("half"))
    await sink.flush()
    assert store.rows == {"trades:0:5-6": ["5", "6"]}
    assert acks == ["held", "half"]


async def test_offsets_without_records_are_no_hole_and_are_saved(acks):
    """The markers of transactions: a batch begins at the position fetched from, not at its first record."""
    store = Memory({0: SinkPosition(4)})
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, replace(records(7, 8), begin=5, end=10), acks.named("around"))
    await sink.put(ROUTE, replace(records(0, -1), begin=10, end=12), acks.named("markers only"))
    await sink.put(ROUTE, records(12, 12), acks.named("behind"))
    await sink.flush()
    assert store.rows == {"trades:0:5-12": ["7", "8", "12"]}
    assert acks == ["around", "markers only", "behind"]
    await sink.put(ROUTE, replace(records(0, -1), begin=13, end=14), acks.named("at last"))
    await sink.flush()
    assert store.calls[-1] == ("save", {0: 13})
    with pytest.raises(MissingRows, match=r"offset 15 comes after 13"):
        await sink.put(ROUTE, records(15, 15), acks.named("lost"))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(flush_seconds=0.01, max_rows=10**6, max_bytes=10**9, save_seconds=0.01),
        Policy(flush_seconds=60, max_rows=3, max_bytes=10**9, save_seconds=0.01),
        Policy(flush_seconds=60, max_rows=10**6, max_bytes=1, save_seconds=0.01),
    ],
    ids=["age", "rows", "bytes"],
)
async def test_written_when_due(acks, policy):
    sink = Sink(Memory(), policy, beginning, nowhere)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    async with asyncio.timeout(60):
        await acks.came.wait()
    assert acks == ["a"]
    await sink.close()
    await running


@pytest.mark.parametrize(("age", "due"), [(CALM_SECONDS, True), (CALM_SECONDS - 1, False)])
def test_a_buffer_that_fills_slowly_is_written_at_half_the_memory(age, due):
    policy = Policy(flush_seconds=600, max_rows=10**6, max_bytes=100, save_seconds=0, calm_bytes=50)
    large: Any = SimpleNamespace(bytes=40, since=1000.0)
    small: Any = SimpleNamespace(bytes=10, since=1.0)
    assert policy.is_full([large, small], large, large.since + age) is due
    small.bytes = 9
    assert not policy.is_full([large, small], large, large.since + age)
    small.bytes = 60
    assert policy.is_full([large, small], large, large.since)


async def test_closing_writes_what_is_held_and_gives_up_when_the_destination_is_away(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    await sink.close()
    assert acks == ["a"]
    assert store.calls[-1] == ("close", None)

    store = Memory()
    store.failures = ["away"] * 10
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("b"))
    await sink.close()
    assert acks == ["a"]


async def test_closing_while_a_write_hangs_ends_in_order(acks, monkeypatch):
    """One batch is written and its position not yet saved, the next hangs: its late end disturbs nothing."""
    monkeypatch.setattr(base, "CLOSE_SECONDS", 0.1)
    store, hangs, release = Memory(), threading.Event(), threading.Event()
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 60), beginning, nowhere)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    await asyncio.to_thread(store.called.wait)

    def write(route, batch):
        hangs.set()
        release.wait()
        return 0

    monkeypatch.setattr(store, "write", write)
    await sink.put(ROUTE, records(3, 4), acks.named("b"))
    await asyncio.to_thread(hangs.wait)
    sink._saved_at -= 60
    await sink.close()
    release.set()
    async with asyncio.timeout(60):
        await running
    assert acks == []


@pytest.mark.parametrize("what", ["write", "positions"])
async def test_closing_cuts_the_connection_of_a_call_and_that_is_no_failure(acks, monkeypatch, what):
    """The call under which the connection is closed may end with anything; nothing is begun after it."""
    monkeypatch.setattr(base, "CLOSE_SECONDS", 0.1)
    store, hangs, release, begun = Memory(), threading.Event(), threading.Event(), []
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 60), beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))

    def cut(*details):
        begun.append(details)
        hangs.set()
        release.wait()
        raise AttributeError("'NoneType' object has no attribute 'settimeout'")

    monkeypatch.setattr(store, what, cut)
    sink._checked_at -= 60
    running = asyncio.create_task(sink.run())
    await asyncio.to_thread(hangs.wait)
    await sink.close()
    release.set()
    async with asyncio.timeout(60):
        await running
    assert len(begun) == 1
    assert acks == []


async def test_buffered_rows_are_merged_when_the_route_can(acks):
    last = Route(TOPIC, "table", SCHEMA, ROUTE.columns, merge=lambda rows: rows.slice(len(rows) - 1))
    store = Memory()
    sink = Sink(store, Policy(60, 10**6, 16, 0), beginning, nowhere)
    await sink.put(last, records(0, 2), acks.named("a"))
    await sink.put(last, records(3, 4), acks.named("b"))
    await sink.flush()
    assert store.rows == {"trades:0:0-4": ["4"]}
    assert acks == ["a", "b"]


async def test_deliveries_become_rows_together_in_order(acks):
    sizes = []

    def columns(batch):
        sizes.append(len(batch))
        return ROUTE.columns(batch)

    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    route = replace(ROUTE, columns=columns)
    for first, last, name in ((0, 2, "a"), (3, 3, "b"), (2, 4, "again"), (5, 6, "c")):
        await sink.put(route, records(first, last), acks.named(name))
    await sink.flush()
    assert sizes == [4, 5]
    assert store.rows == {"trades:0:0-6": ["0", "1", "2", "3", "4", "5", "6"]}
    assert acks == ["a", "b", "again", "c"]


async def test_records_are_kept_as_they_came_up_to_a_bound(acks, monkeypatch):
    monkeypatch.setattr(table, "CHUNK_RECORDS", 4)
    sink = Sink(Memory(), NEVER, beginning, nowhere)
    deliveries = [records(0, 2), records(3, 4), records(5, 5)]
    for number, delivery in enumerate(deliveries):
        await sink.put(ROUTE, delivery, acks.named(number))
    assert [len(delivery) for delivery in deliveries] == [0, 0, 1]
    assert acks == []
    assert await sink.flush() == {"table": 6}
    assert acks == [0, 1, 2]


async def test_a_hole_between_deliveries_stops_the_worker(acks):
    sink = Sink(Memory(), NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    with pytest.raises(MissingRows, match=r"table: trades:0: offset 5 comes after 2"):
        await sink.put(ROUTE, records(5, 6), acks.named("b"))


async def test_reached_waits_for_offsets():
    sink = Sink(Memory(), NEVER, beginning, nowhere)
    wanted = {SourcePartition(TOPIC, 0): 2}
    assert not await sink.reached(wanted, 0.01)
    waiting = asyncio.create_task(sink.reached(wanted, 5))
    await sink.put(ROUTE, records(0, 2), Acks().named("a"))
    assert await waiting


def test_backoff_doubles_to_its_cap_with_jitter():
    delays = base.backoff(1.0, 8.0)
    for wanted in (1, 2, 4, 8, 8):
        assert wanted / 2 <= next(delays) <= wanted * 1.5
