"""A destination that lacks rows which the group has passed: a backup, another server, another worker."""

import asyncio

import pytest

from k2stream.delivery.epochs import named
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.sink import DestinationUnavailable, MissingRows, Policy, Sink
from k2stream.model.errors import StateRefused
from tests.unit.delivery.memory import (
    NEVER,
    ROUTE,
    TOPIC,
    Consumer,
    Memory,
    beginning,
    nowhere,
    records,
)


async def test_rows_that_the_group_has_passed_are_read_again_under_a_new_epoch(acks):
    consumer, old = Consumer(), named("", 1, "a")
    store = Memory({0: SinkPosition(4, epoch=old)})
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(9, 9), acks.named("a"))
    await sink.flush()
    assert (consumer.asked, acks, store.rows) == ([{SourcePartition(TOPIC, 0): 5}], [], {})
    assert store.held[0].offset == 4
    assert store.held[0].epoch > old
    await sink.put(ROUTE, records(5, 9), acks.named("b"))
    await sink.flush()
    assert (store.held[0].offset, acks) == (9, ["b"])


async def test_rows_that_do_not_come_again_stop_the_worker(acks):
    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, beginning, Consumer().go_back)
    await sink.put(ROUTE, records(9, 9), acks.named("a"))
    await sink.flush()
    with pytest.raises(MissingRows, match="offsets from 5 on of trades:0 were read again and did not"):
        await sink.put(ROUTE, records(9, 9), acks.named("a"))


async def test_a_destination_that_went_back_under_a_running_sink_gets_what_it_lost_again(acks):
    """At 1ee9d02 the next position was saved over the one that came back: offsets 3 to 5 never came."""
    consumer, store = Consumer(), Memory()
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    await sink.flush()
    backup = dict(store.held)
    await sink.put(ROUTE, records(3, 5), acks.named("b"))
    await sink.flush()
    store.held = backup
    await sink.put(ROUTE, records(6, 8), acks.named("c"))
    await sink.flush()
    assert consumer.asked == [{SourcePartition(TOPIC, 0): 3}]
    assert (store.held[0].offset, acks) == (2, ["a", "b"])
    await sink.put(ROUTE, records(3, 8), acks.named("again"))
    await sink.flush()
    assert store.rows["trades:0:3-8"] == ["3", "4", "5", "6", "7", "8"]
    assert (store.held[0].offset, acks) == (8, ["a", "b", "again"])


async def test_a_destination_that_went_back_before_it_saved_a_position_gets_the_rows_again(acks, monkeypatch):
    """It was at the position that the batch continues from, and took the next one: the rows never came."""
    store = Memory()
    sink = Sink(store, NEVER, beginning, nowhere)
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    await sink.flush()
    backup, save = dict(store.rows), store.save

    def comes_back(moves):
        store.rows = backup
        monkeypatch.setattr(store, "save", save)
        raise DestinationUnavailable("it is being restored")

    monkeypatch.setattr(store, "save", comes_back)
    await sink.put(ROUTE, records(3, 5), acks.named("b"))
    await sink.flush()
    assert (store.rows["trades:0:3-5"], store.held[0].offset) == (["3", "4", "5"], 5)
    assert acks == ["a", "b"]


async def test_a_destination_that_went_back_while_nothing_comes_is_noticed(acks):
    consumer, store = Consumer(), Memory()
    sink = Sink(store, Policy(0.001, 10**6, 10**9, 0, check_seconds=0.001), beginning, consumer.go_back)
    running = asyncio.create_task(sink.run())
    await sink.put(ROUTE, records(0, 2), acks.named("a"))
    async with asyncio.timeout(60):
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
    async with asyncio.timeout(60):
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
    await sink.put(ROUTE, records(0, 5), acks.named("a"))
    await sink.flush()
    store.held, first = {}, 3
    await sink.put(ROUTE, records(6, 8), acks.named("b"))
    with pytest.raises(StateRefused, match="table went back to offset -1 of trades:0, and Kafka begins at 3"):
        await sink.flush()
    assert acks == ["a"]


async def test_a_newer_epoch_of_another_worker_is_followed(acks):
    consumer, store = Consumer(), Memory()
    sink = Sink(store, NEVER, beginning, consumer.go_back)
    await sink.put(ROUTE, records(0, 5), acks.named("a"))
    await sink.flush()
    other = SinkPosition(2, epoch=named(store.held[0].epoch, 0, "other"))
    store.held = {0: other}
    await sink.put(ROUTE, records(6, 8), acks.named("b"))
    await sink.flush()
    assert (consumer.asked, store.held, acks) == ([{SourcePartition(TOPIC, 0): 3}], {0: other}, ["a"])


async def test_an_epoch_is_kept_by_starts_and_retries(acks):
    store = Memory()
    for first in (0, 3):
        sink = Sink(store, NEVER, beginning, nowhere)
        await sink.put(ROUTE, records(first, first + 2), acks.named("a"))
        await sink.flush()
    assert [kind for kind, _ in store.calls] == ["open", "write", "save", "write", "save"]


async def test_positions_of_an_earlier_release_are_adopted_once_and_said(acks, caplog):
    store = Memory({0: SinkPosition(4, {"m": 1})})
    for first in (5, 7):
        sink = Sink(store, NEVER, beginning, nowhere)
        await sink.put(ROUTE, records(first, first + 1), acks.named("a"))
        await sink.flush()
    assert [kind for kind, _ in store.calls].count("open") == 1
    assert caplog.text.count("table: trades:0: adopted positions that an earlier release wrote") == 1


async def test_rows_that_kafka_has_deleted_do_not(acks, caplog):
    async def retention(partition):
        return 9

    sink = Sink(Memory({0: SinkPosition(4)}), NEVER, retention, nowhere)
    await sink.put(ROUTE, records(9, 9), acks.named("a"))
    await sink.flush()
    assert acks == ["a"]
    assert "offsets 5 to 8 of trades:0 are gone from Kafka" in caplog.text
