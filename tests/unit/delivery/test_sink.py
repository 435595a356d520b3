"""The delivery contract, against a destination that is away, loses answers, or lacks rows."""

import asyncio
import re
import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.delivery import buffer as table
from k2stream.delivery import sink as base
from k2stream.delivery.destination import WentBack
from k2stream.delivery.epochs import named
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route, delivered
from k2stream.delivery.sink import DestinationUnavailable, MissingRows, Policy, Sink
from k2stream.model.errors import StateRefused

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
        return dict(self.held)

    def open(self, positions):
        self.calls.append(("open", {at.partition: found.offset for (_, at), found in positions.items()}))
        self.held |= {at.partition: found for (_, at), found in positions.items()}

    def write(self, route, batch):
        token = re.sub("@[^,]+", "", batch.token)
        self.calls.append(("write", token))
        self.called.set()
        failure = self.failures.pop(0) if self.failures else ""
        if failure != "away":
            self.rows[token] = [text for piece in batch.pieces for text in piece.rows["text"].to_pylist()]
        if failure:
            raise DestinationUnavailable(failure)
        return batch.size

    def save(self, moves):
        back = {key: found for key, move in moves.items() if self.differs(found := self.at(key), move)}
        if back:
            raise WentBack(back)
        self.calls.append(("save", {at.partition: move.position.offset for (_, at), move in moves.items()}))
        self.held |= {at.partition: move.position for (_, at), move in moves.items()}

    def at(self, key):
        return self.held.get(key[1].partition)

    def differs(self, found, move):
        return found is None or found.epoch != move.position.epoch or found.offset < move.after

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
    monkeypatch.setattr(base.backoff, "__defaults__", (0.001, 0.002))


async def beginning(partition):
    return 0


async def nowhere(offsets, between):
    raise AssertionError(f"nobody went back: {offsets}")


async def test_rows_then_positions_then_acknowledgement(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await sink.put(ROUTE, records(0, 1, partition=1), acks.of("b"))
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
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    flush = asyncio.create_task(sink.flush())
    await asyncio.sleep(0)
    await sink.put(ROUTE, records(3, 4), acks.of("b"))
    await flush
    assert {token for kind, token in store.calls if kind == "write"} == {"trades:0:0-2"}
    assert len(store.calls) == 6
    assert acks == ["a"]
    await sink.flush()
    assert acks == ["a", "b"]


async def test_what_the_destination_holds_is_skipped(acks):
    store = Memory({0: SinkPosition(4)})
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.of("held"))
    await sink.put(ROUTE, records(3, 6), acks.of("half"))
    await sink.flush()
    assert store.rows == {"trades:0:5-6": ["5", "6"]}
    assert acks == ["held", "half"]


async def test_offsets_without_records_are_no_hole_and_are_saved(acks):
    """The markers of transactions: a batch begins at the position fetched from, not at its first record."""
    store = Memory({0: SinkPosition(4)})
    sink = Sink(store, NEVER, beginning, nowhere)
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


class Consumer:
    """Goes back as it is asked to, and remembers where to."""

    def __init__(self):
        self.asked, self.went = [], asyncio.Event()

    async def go_back(self, offsets, between):
        between()
        self.asked.append(dict(offsets))
        self.went.set()


async def test_a_letter_is_durable_before_the_position_goes_past_it(acks):
    """An unreadable record ended the worker, again after each start."""
    store = Memory()

    async def bury(letters):
        assert store.rows == {}
        store.calls.append(
            ("letters", [(letter.reader, letter.partition, letter.offset) for letter in letters])
        )

    sink = Sink(store, NEVER, beginning, Consumer().go_back, bury)
    given = records(0, 3)
    given.values[1] = b"\xff"
    await sink.put(ROUTE, given, acks.of("a"))
    await sink.flush()
    assert store.calls[1:] == [
        ("letters", [("table", 0, 1)]),
        ("write", "trades:0:0-3"),
        ("save", {0: 3}),
    ]
    assert (store.rows, acks) == ({"trades:0:0-3": ["0", "2", "3"]}, ["a"])


async def test_a_letter_that_is_not_durable_holds_the_position_back(acks):
    async def bury(letters):
        raise RuntimeError("the broker refused it")

    store = Memory()
    sink = Sink(store, NEVER, beginning, Consumer().go_back, bury)
    given = records(0, 3)
    given.values[3] = b"\xff"
    await sink.put(ROUTE, given, acks.of("a"))
    with pytest.raises(RuntimeError):
        await sink.flush()
    assert ([kind for kind, _ in store.calls], acks) == (["open"], [])


async def test_what_the_destination_holds_gives_no_letter_again(acks):
    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, beginning, Consumer().go_back)
    given = records(0, 5)
    given.values[2] = b"\xff"
    await sink.put(ROUTE, given, acks.of("a"))
    assert await sink.flush() == {"table": 1}


async def test_rows_that_the_group_has_passed_are_read_again_under_a_new_epoch(acks):
    consumer, old = Consumer(), named("", 1, "a")
    store = Memory({0: SinkPosition(4, epoch=old)})
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(9, 9), acks.of("a"))
    await sink.flush()
    assert (consumer.asked, acks, store.rows) == ([{SourcePartition(TOPIC, 0): 5}], [], {})
    assert store.held[0].offset == 4
    assert store.held[0].epoch > old
    await sink.put(ROUTE, records(5, 9), acks.of("b"))
    await sink.flush()
    assert (store.held[0].offset, acks) == (9, ["b"])


async def test_rows_that_do_not_come_again_stop_the_worker(acks):
    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, beginning, Consumer().go_back)
    await sink.put(ROUTE, records(9, 9), acks.of("a"))
    await sink.flush()
    with pytest.raises(MissingRows, match="offsets from 5 on of trades:0 were read again and did not"):
        await sink.put(ROUTE, records(9, 9), acks.of("a"))


async def test_a_destination_that_went_back_under_a_running_sink_gets_what_it_lost_again(acks):
    """At 1ee9d02 the next position was saved over the one that came back: offsets 3 to 5 never came."""
    consumer, store = Consumer(), Memory()
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await sink.flush()
    backup = dict(store.held)
    await sink.put(ROUTE, records(3, 5), acks.of("b"))
    await sink.flush()
    store.held = backup
    await sink.put(ROUTE, records(6, 8), acks.of("c"))
    await sink.flush()
    assert consumer.asked == [{SourcePartition(TOPIC, 0): 3}]
    assert (store.held[0].offset, acks) == (2, ["a", "b"])
    await sink.put(ROUTE, records(3, 8), acks.of("again"))
    await sink.flush()
    assert store.rows["trades:0:3-8"] == ["3", "4", "5", "6", "7", "8"]
    assert (store.held[0].offset, acks) == (8, ["a", "b", "again"])


async def test_a_destination_that_went_back_while_nothing_comes_is_noticed(acks):
    consumer, store = Consumer(), Memory()
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 0, check_seconds=0.001), beginning, consumer.go_back)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    async with asyncio.timeout(5):
        await acks.came.wait()
        store.held = {}
        await consumer.went.wait()
    await sink.close()
    await running
    assert consumer.asked == [{SourcePartition(TOPIC, 0): 0}]


@pytest.mark.parametrize(("passed", "asked"), [(5, []), (9, [{SourcePartition(TOPIC, 0): 5}])])
async def test_a_worker_that_has_read_nothing_since_its_start_looks_too(acks, passed, asked):
    """The group has passed offsets of an idle partition that the destination, restored since, has not."""
    consumer, store = Consumer(), Memory({0: SinkPosition(4, epoch=named("", 1, "a"))})
    looked = asyncio.Event()

    def committed():
        looked.set()
        return [(ROUTE, {SourcePartition(TOPIC, 0): 5 if consumer.asked else passed})]

    policy = Policy(60, 10**6, 10**9, 0, check_seconds=0.001)
    sink = Sink(store, policy, beginning, consumer.go_back, passed=committed)
    running = asyncio.create_task(sink.run())
    async with asyncio.timeout(5):
        await (consumer.went if asked else looked).wait()
    await sink.close()
    await running
    assert consumer.asked == asked


async def test_what_kafka_does_not_have_any_more_stops_the_worker(acks):
    first = 0

    async def earliest(partition):
        return first

    store = Memory()
    sink = Sink(store, NEVER, earliest, nowhere)
    await sink.put(ROUTE, records(0, 5), acks.of("a"))
    await sink.flush()
    store.held, first = {}, 3
    await sink.put(ROUTE, records(6, 8), acks.of("b"))
    with pytest.raises(StateRefused, match="table went back to offset -1 of trades:0, and Kafka begins at 3"):
        await sink.flush()
    assert acks == ["a"]


async def test_a_newer_epoch_of_another_worker_is_followed(acks):
    consumer, store = Consumer(), Memory()
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(0, 5), acks.of("a"))
    await sink.flush()
    other = SinkPosition(2, epoch=named(store.held[0].epoch, 0, "other"))
    store.held = {0: other}
    await sink.put(ROUTE, records(6, 8), acks.of("b"))
    await sink.flush()
    assert (consumer.asked, store.held, acks) == ([{SourcePartition(TOPIC, 0): 3}], {0: other}, ["a"])


async def test_an_epoch_is_kept_by_starts_and_retries(acks):
    store = Memory()
    for first in (0, 3):
        sink = Sink(store, NEVER, beginning, nowhere)
        await sink.put(ROUTE, records(first, first + 2), acks.of("a"))
        await sink.flush()
    assert [kind for kind, _ in store.calls] == ["open", "write", "save", "write", "save"]


async def test_positions_of_an_earlier_release_are_adopted_once_and_said(acks, caplog):
    store = Memory({0: SinkPosition(4, {"m": 1})})
    for first in (5, 7):
        sink = Sink(store, NEVER, beginning, nowhere)
        await sink.put(ROUTE, records(first, first + 1), acks.of("a"))
        await sink.flush()
    assert [kind for kind, _ in store.calls].count("open") == 1
    assert caplog.text.count("table: trades:0: adopted positions that an earlier release wrote") == 1


async def test_rows_that_kafka_has_deleted_do_not(acks, caplog):
    async def retention(partition):
        return 9

    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, retention, nowhere)
    await sink.put(ROUTE, records(9, 9), acks.of("a"))
    await sink.flush()
    assert acks == ["a"]
    assert "offsets 5 to 8 of trades:0 are gone from Kafka" in caplog.text


async def test_a_rebalance_forgets_what_is_not_durable(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.of("before"))
    sink.reset()
    await sink.put(ROUTE, records(0, 4), acks.of("after"))
    await sink.flush()
    assert store.rows == {"trades:0:0-4": ["0", "1", "2", "3", "4"]}
    assert acks == ["after"]


async def test_a_rebalance_ends_the_retries_of_what_it_took_away(acks):
    store = Memory()
    store.failures = ["away"] * 10_000
    sink = Sink(store, NEVER, beginning, nowhere)
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
    sink = Sink(Memory(), policy, beginning, nowhere)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    async with asyncio.timeout(5):
        await acks.came.wait()
    assert acks == ["a"]
    await sink.close()
    await running


async def test_closing_writes_what_is_held_and_gives_up_when_the_destination_is_away(acks):
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.of("a"))
    await sink.close()
    assert acks == ["a"]
    assert store.calls[-1] == ("close", None)

    store = Memory()
    store.failures = ["away"] * 10
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.of("b"))
    await sink.close()
    assert acks == ["a"]


async def test_closing_while_a_write_hangs_ends_in_order(acks, monkeypatch):
    """One batch is written and its position not yet saved, the next hangs: its late end disturbs nothing."""
    monkeypatch.setattr(base, "CLOSE_SECONDS", 0.1)
    store, hangs, release = Memory(), threading.Event(), threading.Event()
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 60), beginning, nowhere)
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
    sink = Sink(store, Policy(60, 10**6, 16, 0), beginning, nowhere)
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
    sink = Sink(store, NEVER, beginning, nowhere)
    route = replace(ROUTE, columns=columns)
    for first, last, name in ((0, 2, "a"), (3, 3, "b"), (2, 4, "again"), (5, 6, "c")):
        await sink.put(route, records(first, last), acks.of(name))
    await sink.flush()
    assert sizes == [4, 5]
    assert store.rows == {"trades:0:0-6": ["0", "1", "2", "3", "4", "5", "6"]}
    assert acks == ["a", "b", "again", "c"]


async def test_records_are_kept_as_they_came_up_to_a_bound(acks, monkeypatch):
    monkeypatch.setattr(table, "CHUNK_RECORDS", 4)
    sink = Sink(Memory(), NEVER, beginning, nowhere)
    deliveries = [records(0, 2), records(3, 4), records(5, 5)]
    for number, delivery in enumerate(deliveries):
        await sink.put(ROUTE, delivery, acks.of(number))
    assert [len(delivery) for delivery in deliveries] == [0, 0, 1]
    assert acks == []
    assert await sink.flush() == {"table": 6}
    assert acks == [0, 1, 2]


async def test_a_hole_between_deliveries_stops_the_worker(acks):
    sink = Sink(Memory(), NEVER, beginning, nowhere)
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
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(replace(ROUTE, columns=columns), records(0, 2), acks.of("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(converting.wait, 5)
    sink.reset()
    reset.set()
    assert await flush == {}
    assert (store.rows, acks) == ({}, [])


async def test_reached_waits_for_offsets():
    sink = Sink(Memory(), NEVER, beginning, nowhere)
    wanted = {SourcePartition(TOPIC, 0): 2}
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
    saved, sink = store.save, Sink(store, NEVER, beginning, nowhere)

    def save(moves):
        tried.set()
        if not there.is_set():
            raise DestinationUnavailable("positions cannot be saved now")
        saved(moves)

    store.save = save
    await sink.put(ROUTE, records(0, 2), acks.of("before"))
    flush = asyncio.create_task(sink.flush())
    assert await asyncio.to_thread(tried.wait, 5)
    sink.reset()
    there.set()
    await flush
    assert store.calls == [("open", {0: -1}), ("write", "trades:0:0-2"), ("save", {0: 2})]
    assert acks == []
