"""The delivery contract, against a destination that is away, loses answers, or lacks rows."""

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.sinks import base, table
from k2stream.sinks.base import Away, MissingRows, Policy, Sink
from k2stream.sinks.progress import Partition, Position
from k2stream.sinks.route import Route, delivered

TOPIC = "trades"
SCHEMA = pa.schema([pa.field("text", pa.string())])
ROUTE = Route(
    TOPIC,
    "table",
    SCHEMA,
    lambda batch: delivered(batch, {"text": pa.array([v.decode() for v in batch.values])}, SCHEMA),
)
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)


def records(first, last, partition=0):
    offsets = np.arange(first, last + 1)
    values = [b"%d" % offset for offset in offsets]
    return RecordBatch(TP(TOPIC, partition), offsets, offsets * 0, [None] * len(values), values)


class Memory:
    """A destination that holds rows by token, and fails as told."""

    def __init__(self, held=None):
        self.held = held or {}
        self.rows, self.calls, self.failures = {}, [], []
        self.called = threading.Event()

    def positions(self, route):
        return self.held

    def write(self, route, batch):
        self.calls.append(("write", batch.token))
        self.called.set()
        failure = self.failures.pop(0) if self.failures else ""
        if failure != "away":
            self.rows[batch.token] = [
                text for piece in batch.pieces for text in piece.rows["text"].to_pylist()
            ]
        if failure:
            raise Away(failure)
        return batch.size

    def save(self, positions):
        self.calls.append(
            ("save", {partition.partition: found.offset for (_, partition), found in positions.items()})
        )

    def close(self):
        self.calls.append(("close", None))


class Acks(list):
    def __init__(self):
        super().__init__()
        self.came = asyncio.Event()

    def of(self, name):
        async def acknowledge():
            self.append(name)
            self.came.set()

        return acknowledge


@pytest.fixture
def acks():
    return Acks()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(base, "RETRY_BASE_SECONDS", 0.001)
    monkeypatch.setattr(base.backoff, "__defaults__", (0.001, 0.002))


async def beginning(partition):
    return 0


async def test_rows_then_positions_then_acknowledgement(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await sink.put(ROUTE, records(0, 1, partition=1), acks.of("b"))
    assert acks == []
    assert await sink.flush() == {"table": 5}
    assert store.calls == [("write", "trades:0:0-2,trades:1:0-1"), ("save", {0: 2, 1: 1})]
    assert acks == ["a", "b"]
    assert store.rows == {"trades:0:0-2,trades:1:0-1": ["0", "1", "2", "0", "1"]}


async def test_a_destination_that_is_away_gets_the_same_batch_until_it_has_it(acks):
    store = Memory()
    store.failures = ["away", "answer lost", "away"]
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    flush = asyncio.create_task(sink.flush())
    await asyncio.sleep(0)
    await sink.put(ROUTE, records(3, 4), acks.of("b"))
    await flush
    assert {token for kind, token in store.calls if kind == "write"} == {"trades:0:0-2"}
    assert len(store.calls) == 5
    assert acks == ["a"]
    await sink.flush()
    assert acks == ["a", "b"]


async def test_what_the_destination_holds_is_skipped(acks):
    store = Memory({0: Position(4)})
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("held"))
    await sink.put(ROUTE, records(3, 6), acks.of("half"))
    await sink.flush()
    assert store.rows == {"trades:0:5-6": ["5", "6"]}
    assert acks == ["held", "half"]


async def test_offsets_without_records_are_no_hole_and_are_saved(acks):
    """The markers of transactions: a batch begins at the position fetched from, not at its first record."""
    store = Memory({0: Position(4)})
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, replace(records(7, 8), begin=5, end=10), acks.of("around"))
    await sink.put(ROUTE, replace(records(0, -1), begin=10, end=12), acks.of("markers only"))
    await sink.put(ROUTE, records(12, 12), acks.of("behind"))
    await sink.flush()
    assert store.rows == {"trades:0:5-12": ["7", "8", "12"]}
    assert acks == ["around", "markers only", "behind"]
    await sink.put(ROUTE, replace(records(0, -1), begin=13, end=14), acks.of("at last"))
    await sink.flush()
    assert store.calls[-1] == ("save", {0: 13})
    with pytest.raises(MissingRows, match=r"offset 15 comes after 13"):
        await sink.put(ROUTE, records(15, 15), acks.of("lost"))


async def test_rows_that_were_never_written_stop_the_worker(acks):
    sink = Sink(Memory({0: Position(4)}), NEVER, beginning)
    with pytest.raises(
        MissingRows, match=r"table holds trades:0 up to offset 4, but the consumer group goes on at 9"
    ):
        await sink.put(ROUTE, records(9, 9), acks.of("a"))
    assert acks == []


async def test_rows_that_kafka_has_deleted_do_not(acks, caplog):
    async def retention(partition):
        return 9

    sink = Sink(Memory({0: Position(4)}), NEVER, retention)
    await sink.put(ROUTE, records(9, 9), acks.of("a"))
    await sink.flush()
    assert acks == ["a"]
    assert "offsets 5 to 8 of trades:0 are gone from Kafka" in caplog.text


async def test_a_rebalance_forgets_what_is_not_durable(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("before"))
    sink.reset()
    await sink.put(ROUTE, records(0, 4), acks.of("after"))
    await sink.flush()
    assert store.rows == {"trades:0:0-4": ["0", "1", "2", "3", "4"]}
    assert acks == ["after"]


async def test_a_rebalance_ends_the_retries_of_what_it_took_away(acks):
    store = Memory()
    store.failures = ["away"] * 10_000
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("before"))
    flush = asyncio.create_task(sink.flush())
    async with asyncio.timeout(5):
        await asyncio.to_thread(store.called.wait)
    sink.reset()
    assert await flush == {}
    assert acks == []


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
    sink = Sink(Memory(), policy, beginning)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    async with asyncio.timeout(5):
        await acks.came.wait()
    assert acks == ["a"]
    await sink.close()
    await running


async def test_closing_writes_what_is_held_and_gives_up_when_the_destination_is_away(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await sink.close()
    assert acks == ["a"]
    assert store.calls[-1] == ("close", None)

    store = Memory()
    store.failures = ["away"] * 10
    sink = Sink(store, NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("b"))
    await sink.close()
    assert acks == ["a"]


async def test_closing_while_a_write_hangs_ends_in_order(acks, monkeypatch):
    """One batch is written and its position not yet saved, the next hangs: its late end disturbs nothing."""
    monkeypatch.setattr(base, "CLOSE_SECONDS", 0.1)
    store, hangs, release = Memory(), threading.Event(), threading.Event()
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 60), beginning)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await asyncio.to_thread(store.called.wait)
    store.write = lambda route, batch: hangs.set() or (release.wait() and 0)
    await sink.put(ROUTE, records(3, 4), acks.of("b"))
    await asyncio.to_thread(hangs.wait)
    sink._saved_at -= 60
    await sink.close()
    release.set()
    async with asyncio.timeout(5):
        await running
    assert acks == []


async def test_buffered_rows_are_merged_when_the_route_can(acks):
    last = Route(TOPIC, "table", SCHEMA, ROUTE.columns, merge=lambda rows: rows.slice(len(rows) - 1))
    store = Memory()
    sink = Sink(store, Policy(60, 10**6, 16, 0), beginning)
    await sink.put(last, records(0, 2), acks.of("a"))
    await sink.put(last, records(3, 4), acks.of("b"))
    await sink.flush()
    assert store.rows == {"trades:0:0-4": ["4"]}
    assert acks == ["a", "b"]


async def test_deliveries_become_rows_together_in_order(acks):
    sizes = []

    def columns(batch):
        sizes.append(len(batch))
        return ROUTE.columns(batch)

    store = Memory()
    sink = Sink(store, NEVER, beginning)
    route = replace(ROUTE, columns=columns)
    for first, last, name in ((0, 2, "a"), (3, 3, "b"), (2, 4, "again"), (5, 6, "c")):
        await sink.put(route, records(first, last), acks.of(name))
    await sink.flush()
    assert sizes == [4, 5]
    assert store.rows == {"trades:0:0-6": ["0", "1", "2", "3", "4", "5", "6"]}
    assert acks == ["a", "b", "again", "c"]


async def test_records_are_kept_as_they_came_up_to_a_bound(acks, monkeypatch):
    monkeypatch.setattr(table, "CHUNK_RECORDS", 4)
    sink = Sink(Memory(), NEVER, beginning)
    deliveries = [records(0, 2), records(3, 4), records(5, 5)]
    for number, delivery in enumerate(deliveries):
        await sink.put(ROUTE, delivery, acks.of(number))
    assert [len(delivery) for delivery in deliveries] == [0, 0, 1]
    assert acks == []
    assert await sink.flush() == {"table": 6}
    assert acks == [0, 1, 2]


async def test_a_hole_between_deliveries_stops_the_worker(acks):
    sink = Sink(Memory(), NEVER, beginning)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    with pytest.raises(MissingRows, match=r"table: trades:0: offset 5 comes after 2"):
        await sink.put(ROUTE, records(5, 6), acks.of("b"))


async def test_a_rebalance_during_a_conversion_forgets_it(acks):
    converting, reset = threading.Event(), threading.Event()

    def columns(batch):
        converting.set()
        assert reset.wait(5)
        return ROUTE.columns(batch)

    store = Memory()
    sink = Sink(store, NEVER, beginning)
    await sink.put(replace(ROUTE, columns=columns), records(0, 2), acks.of("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(converting.wait, 5)
    sink.reset()
    reset.set()
    assert await flush == {}
    assert (store.rows, acks) == ({}, [])


async def test_reached_waits_for_offsets():
    sink = Sink(Memory(), NEVER, beginning)
    wanted = {Partition(TOPIC, 0): 2}
    assert not await sink.reached(wanted, 0.01)
    waiting = asyncio.create_task(sink.reached(wanted, 5))
    await sink.put(ROUTE, records(0, 2), Acks().of("a"))
    assert await waiting


def test_backoff_doubles_to_its_cap_with_jitter():
    delays = base.backoff(1.0, 8.0)
    for wanted in (1, 2, 4, 8, 8):
        assert wanted / 2 <= next(delays) <= wanted * 1.5


async def test_what_was_written_before_a_rebalance_is_saved_and_not_acknowledged(acks):
    """Its records are the new owner's to acknowledge; that they are durable stays true."""
    store, tried, there = Memory(), threading.Event(), threading.Event()
    saved, sink = store.save, Sink(store, NEVER, beginning)

    def save(positions):
        tried.set()
        if not there.is_set():
            raise Away("positions cannot be saved now")
        saved(positions)

    store.save = save
    await sink.put(ROUTE, records(0, 2), acks.of("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(tried.wait, 5)
    sink.reset()
    there.set()
    await flush
    assert store.calls == [("write", "trades:0:0-2"), ("save", {0: 2})]
    assert acks == []
