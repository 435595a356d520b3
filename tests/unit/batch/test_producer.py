"""The order of a flush, and what a failure refuses, against a broker that is driven by hand."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.exceptions import ProducerSendError

from k2stream.batch import BatchTable
from k2stream.batch._building import RecordTooLarge
from k2stream.batch._producer import Producer


class Broker:
    """Takes batches; each is acknowledged when the test says so."""

    def __init__(self):
        self.sent = []
        self._message_accumulator = SimpleNamespace(_batches={})  # what waits for the batch before it

    def create_batch(self):
        return BatchBuilder(1000, 0)

    def hold(self, index):
        """The batch waits: the one before it is not acknowledged."""
        batch = self.sent[index]
        waiting = SimpleNamespace(_builder=batch.builder, future=batch.future)
        self._message_accumulator._batches[batch.topic, batch.partition] = [waiting]

    async def send_batch(self, builder, topic, *, partition):
        future = asyncio.get_running_loop().create_future()
        self.sent.append(SimpleNamespace(topic=topic, partition=partition, builder=builder, future=future))
        return future

    def acknowledge(self, index, offset=0):
        self.sent[index].future.set_result(SimpleNamespace(offset=offset))

    @property
    def topics(self):
        return [batch.topic for batch in self.sent]


@pytest.fixture
async def broker():
    return Broker()


@pytest.fixture
async def producer(app, broker):
    producer = Producer(app.transport)
    producer._producer = broker
    producer.max_batch_size = 1000
    return producer


@pytest.fixture
def table(app, producer):
    table = BatchTable(app, name="state", partitions=4)
    producer.register_table(table)
    return table


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_changelogs_are_written_after_the_outputs_are_durable(producer, broker, table):
    await producer.send_columns("out", 2, [b"k"], [b"v"], 1)
    table.put(2, "a", 1)
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    assert broker.topics == ["out"]
    broker.acknowledge(0)
    await settle()
    assert broker.topics == ["out", "unit-state-changelog"]
    assert broker.sent[1].partition == 2
    assert not barrier.done()
    broker.acknowledge(1, offset=41)
    await barrier
    assert table.persisted_offset(SimpleNamespace(partition=2)) == 41


async def test_changes_made_during_a_flush_wait_for_their_own_outputs(producer, broker, table):
    await producer.send_columns("out", 0, [b"k"], [b"v"], 1)
    first = asyncio.create_task(producer.barrier())
    await settle()
    await producer.send_columns("late", 0, [b"k"], [b"v"], 1)
    table.put(0, "a", 1)
    broker.acknowledge(0)
    await first
    assert broker.topics == ["out", "late"]


async def test_a_table_written_with_nothing_has_no_changes_to_flush(producer, broker, table):
    """A delivery that is only replays gives no positions: `put_many(partition, {})`."""
    table.put_many(3, {})
    table.put(1, "a", 1)
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    assert [(batch.topic, batch.partition) for batch in broker.sent] == [("unit-state-changelog", 1)]
    broker.acknowledge(0)
    await barrier
    assert table.persisted_offset(SimpleNamespace(partition=3)) is None


async def test_a_cancelled_caller_does_not_stop_a_flush(producer, broker, table):
    await producer.send_columns("out", 0, [b"k"], [b"v"], 1)
    table.put(0, "a", 1)
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    barrier.cancel()
    await settle()
    broker.acknowledge(0)
    await settle()
    assert broker.topics == ["out", "unit-state-changelog"]


async def test_a_failed_output_keeps_its_state_out_of_the_changelog(producer, broker, table):
    await producer.send_columns("out", 0, [b"k"], [b"v"], 1)
    table.put(0, "a", 1)
    broker.sent[0].future.set_exception(RuntimeError("refused by the broker"))
    with pytest.raises(ProducerSendError, match="refused by the broker"):
        await producer.barrier()
    assert broker.topics == ["out"]
    with pytest.raises(ProducerSendError):
        await producer.send_columns("out", 0, [b"k"], [b"v"], 1)
    with pytest.raises(ProducerSendError):
        await producer.flush()


async def test_a_stopping_worker_may_finish_stopping_after_a_failure(app, producer):
    producer.fail(RuntimeError("gone"))
    app._stopped.set()
    await producer.flush()
    with pytest.raises(ProducerSendError):
        await producer.barrier()


async def test_a_failed_changelog_is_an_error(producer, broker, table):
    table.put(0, "a", 1)
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    broker.sent[0].future.set_exception(RuntimeError("refused"))
    with pytest.raises(ProducerSendError):
        await barrier
    assert table.persisted_offset(SimpleNamespace(partition=0)) is None


async def test_a_value_that_cannot_be_encoded_refuses_later_flushes(producer, table):
    table.put(0, "a", object())
    with pytest.raises(TypeError):
        await producer.barrier()
    with pytest.raises(ProducerSendError):
        await producer.barrier()


async def test_bytes_in_flight_are_bounded(producer, broker):
    producer.max_in_flight = 1500
    for _ in range(2):
        await producer.send_columns("out", 0, [b"k"], [b"x" * 600], 1)
    third = asyncio.create_task(producer.send_columns("out", 0, [b"k"], [b"x" * 600], 1))
    await settle()
    assert len(broker.sent) == 2
    broker.acknowledge(0)
    await third
    assert len(broker.sent) == 3


async def test_a_waiting_sender_learns_of_a_failure(producer, broker):
    producer.max_in_flight = 1000
    await producer.send_columns("out", 0, [b"k"], [b"x" * 600], 1)
    second = asyncio.create_task(producer.send_columns("out", 0, [b"k"], [b"x" * 600], 1))
    await settle()
    broker.sent[0].future.set_exception(RuntimeError("refused"))
    with pytest.raises(ProducerSendError):
        await second


async def test_large_columns_are_split_in_order(producer, broker):
    await producer.send_columns("out", 1, [None] * 5, [b"%d" % n * 400 for n in range(5)], 1)
    assert [batch.builder.record_count() for batch in broker.sent] == [2, 2, 1]


async def test_a_record_that_names_no_time_has_that_of_its_writing(producer, broker, decode):
    before = time.time_ns() // 1_000_000
    await producer.send_columns("out", 0, [b"k"], [b"received two days ago, written now"])
    (record,) = decode(broker.sent[0].builder)
    assert before <= record.timestamp <= time.time_ns() // 1_000_000


async def test_a_few_records_join_the_batch_that_waits(producer, broker, decode):
    await producer.send_columns("out", 0, [b"k"], [b"1"], 1)
    broker.hold(0)
    await producer.send_columns("out", 0, [b"k", b"k"], [b"2", b"3"], [2, 3])
    await producer.send_columns("out", 1, [b"k"], [b"4"], 1)
    assert broker.topics == ["out", "out"]
    records = decode(broker.sent[0].builder)
    assert [(r.offset, r.value, r.timestamp) for r in records] == [(0, b"1", 1), (1, b"2", 2), (2, b"3", 3)]
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    broker.acknowledge(1)
    await settle()
    assert not barrier.done()
    broker.acknowledge(0)
    await barrier
    assert producer._in_flight == 0


async def test_records_that_joined_share_the_failure(producer, broker):
    await producer.send_columns("out", 0, [b"k"], [b"1"], 1)
    broker.hold(0)
    await producer.send_columns("out", 0, [b"k"], [b"2"], 1)
    broker.sent[0].future.set_exception(RuntimeError("refused"))
    with pytest.raises(ProducerSendError):
        await producer.barrier()


@pytest.mark.parametrize("records", [[b"x" * 900], [b""] * 20])
async def test_many_or_large_records_make_a_batch_of_their_own(producer, broker, records):
    producer.join_records = 10
    await producer.send_columns("out", 0, [b"k"], [b"1"], 1)
    broker.hold(0)
    await producer.send_columns("out", 0, [None] * len(records), records, 1)
    assert [batch.builder.record_count() for batch in broker.sent] == [1, len(records)]


async def test_nothing_joins_a_batch_under_way(producer, broker):
    await producer.send_columns("out", 0, [b"k"], [b"1"], 1)
    broker.hold(0)
    broker.sent[0].builder.close()
    await producer.send_columns("out", 0, [b"k"], [b"2"], 1)
    assert len(broker.sent) == 2


async def test_a_record_too_large_names_its_destination_and_sends_nothing(producer, broker):
    with pytest.raises(RecordTooLarge, match=r"to out\[1\]: one record makes a batch of \d+ bytes"):
        await producer.send_columns("out", 1, [None, None], [b"small", b"x" * 2000], 1)
    assert broker.sent == []
    assert producer.failure is None


def test_deliveries_are_idempotent_and_acknowledged_by_all(producer):
    assert producer._settings_extra() == {"acks": "all", "enable_idempotence": True}


async def test_of_one_flush_a_higher_stage_is_written_once_the_lower_one_is_durable(
    app, producer, broker, table
):
    last = BatchTable(app, name="progress", partitions=4, flush_stage=1)
    producer.register_table(last)
    last.put(0, "a", 1)
    table.put(0, "a", 1)
    barrier = asyncio.create_task(producer.barrier())
    await settle()
    assert broker.topics == ["unit-state-changelog"]
    broker.acknowledge(0)
    await settle()
    assert broker.topics == ["unit-state-changelog", "unit-progress-changelog"]
    broker.acknowledge(1)
    await barrier


async def test_a_flush_waits_for_the_messages_before_it_and_not_for_those_that_keep_coming(producer):
    """Faust's own sends go through a buffer, which an agent that always sends never lets run empty."""
    sent = []
    pending = producer.buffer.pending

    async def send(message):
        await asyncio.sleep(0.001)
        sent.append(message)
        pending.put_nowait(message + 1)  # another is there before this one has left

    async def hand_over():  # as Faust's buffer does
        while True:
            await producer.buffer._send_pending(await pending.get())
            producer.buffer.message_sent.set()

    producer._send_buffered = send
    for message in (0, 100, 200):
        pending.put_nowait(message)
    handing = asyncio.create_task(hand_over())
    async with asyncio.timeout(60):
        await producer.barrier()
    assert {0, 100, 200} <= set(sent)
    handing.cancel()
