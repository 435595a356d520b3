"""A consumer asks its guard before it commits, when it seeks, and when an offset is out of range."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition
from faust.types import TP

from k2stream.batch import BatchSchema, BatchTable, RecordBatch, proof
from k2stream.batch import _guard as module
from k2stream.batch import _guarded as guarded
from k2stream.model.errors import StateRefused
from tests.unit.batch.test_guard import Thread, log

TP0 = TP("raw", 0)


class Client(Thread):
    """A broker with one log, as the consumer's thread shows it."""

    def __init__(self, records):
        super().__init__(records)
        self.committed_with, self.sought, self.unknown = [], [], []
        self.ids = {}

    async def topic_ids(self, topics):
        return {topic: self.ids[topic] for topic in topics if topic in self.ids}

    async def gone(self, topics):
        return [topic for topic in topics if topic in self.unknown]

    async def is_member(self):
        return True

    def assignment(self):
        return {TP0}

    async def commit(self, offsets):
        self.committed_with.append({tp: self.identities.get((*tp, offset)) for tp, offset in offsets.items()})
        return True

    async def seek_wait(self, partitions):
        self.sought += partitions.items()


@pytest.fixture
async def consumer(app, monkeypatch):
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    consumer = app.consumer
    consumer._thread = Client(log(20))
    consumer.table = app.tables.add(BatchTable(app, name="made", partitions=1, source="raw"))

    async def barrier():
        consumer.table.take_changes()

    async def crash(reason):
        consumer.reason = reason

    app.producer.barrier, consumer.crash, consumer.reason = barrier, crash, None
    monkeypatch.setattr(app, "monitor", SimpleNamespace(
        track_tp_end_offset=lambda *_: None, on_tp_commit=lambda *_: None
    ))  # fmt: skip
    consumer.highwater = lambda tp: 20
    return consumer


def deliver(consumer, first, last):
    records = consumer._thread.log[first : last + 1]
    times, keys, values = zip(*records, strict=True)
    batch = RecordBatch(TP0, np.arange(first, last + 1), np.array(times), list(keys), list(values))
    message = consumer._deliver(TP0, batch)
    message.acked = True


async def test_a_commit_says_beside_the_offset_and_in_the_tables_what_was_read(consumer):
    deliver(consumer, 0, 9)
    assert await consumer._commit_offsets({TP0: 10})
    ((text,),) = [list(noted.values()) for noted in consumer._thread.committed_with]
    identity = proof.read(text)
    assert identity and identity.proof == consumer._thread._record(9)
    assert consumer.table.identities[0].proof == consumer._thread._record(9)


async def test_nothing_is_committed_once_the_log_is_another_and_the_worker_is_given_up(consumer):
    deliver(consumer, 0, 9)
    assert await consumer._commit_offsets({TP0: 10})
    consumer._thread.log = log(50, b"new")
    deliver(consumer, 10, 19)
    assert not await consumer._commit_offsets({TP0: 20})
    assert len(consumer._thread.committed_with) == 1
    assert isinstance(consumer.reason, StateRefused)
    assert consumer.table.identities[0].proof.offset == 9


async def test_a_log_cut_after_a_batch_was_delivered_is_seen_before_the_next_one_is(consumer):
    """It had grown beyond the position: the new records below it were read by nobody."""
    deliver(consumer, 0, 9)
    assert await consumer._follows_on(TP0, 0)
    consumer._thread.log = [*log(6), *log(50, b"new")[6:]]
    assert await consumer._follows_on(TP0, 0)  # no fetch has failed: it cannot be another
    assert not await consumer._follows_on(TP0, 1)
    assert isinstance(consumer.reason, StateRefused)
    assert "offset 9 is not there" in str(consumer.reason)
    assert consumer.table.identities[0].proof.offset == 9  # what was made of it is known to be done


async def test_a_broker_that_was_away_is_asked_once_and_reading_goes_on(consumer):
    assert await consumer._follows_on(TP0, 1)  # nothing was delivered
    deliver(consumer, 0, 9)
    looks = consumer._thread.looks
    assert await consumer._follows_on(TP0, 2)
    assert await consumer._follows_on(TP0, 2)
    assert consumer._thread.looks == looks + 1


@pytest.mark.parametrize("topic", ["raw", "changelog"])
async def test_a_topic_recreated_under_a_running_worker_stops_commits_and_then_the_worker(
    consumer, monkeypatch, topic
):
    """The new changelog would say that it holds the whole table."""
    monkeypatch.setattr(guarded, "SETTLE_SECONDS", 0.02)
    consumer._schemas = {"raw": BatchSchema()}
    names = {"raw": "raw", "changelog": consumer.table.changelog_topic_name}
    consumer._thread.ids = dict.fromkeys(names.values(), "1a")
    assert await consumer.check_topics()
    deliver(consumer, 0, 9)
    consumer._thread.ids[names[topic]] = "9z"
    assert not await consumer._commit_offsets({TP0: 10})
    assert not consumer.reason
    await asyncio.sleep(0.03)
    assert not await consumer.check_topics()
    assert isinstance(consumer.reason, StateRefused)
    assert f"{names[topic]} was recreated" in str(consumer.reason) and "`k2 " in str(consumer.reason)
    kept = topic == "raw"  # what was made of the old one is done
    assert len(consumer._thread.committed_with) == kept == len(consumer.table.identities)


@pytest.mark.parametrize("silent", [{}, {"raw": "1a"}], ids=["no answer", "not of the changelog"])
async def test_without_an_answer_about_a_known_topic_nothing_is_committed(consumer, silent):
    """A changelog recreated meanwhile was written to, and said that it holds the whole table."""
    consumer._schemas = {"raw": BatchSchema()}
    known = {"raw": "1a", consumer.table.changelog_topic_name: "2a"}
    consumer._thread.ids = known
    assert await consumer.check_topics()
    deliver(consumer, 0, 9)
    consumer._thread.ids = silent
    assert not await consumer._commit_offsets({TP0: 10})
    assert consumer._thread.committed_with == [] and consumer.table.identities == {}
    assert consumer.reason is None
    consumer._thread.ids = known
    assert await consumer._commit_offsets({TP0: 10})


async def test_a_broker_that_is_away_only_puts_a_commit_off(consumer, monkeypatch):
    deliver(consumer, 0, 9)
    assert await consumer._commit_offsets({TP0: 10})

    async def away(wanted):
        raise KafkaConnectionError

    deliver(consumer, 10, 14)
    monkeypatch.setattr(consumer._thread, "records_at", away)
    assert not await consumer._commit_offsets({TP0: 15})
    assert consumer.reason is None
    monkeypatch.undo()


async def test_an_offset_out_of_range_is_judged_and_not_jumped(consumer):
    consumer._thread.begin = 15
    await consumer._out_of_range(OffsetOutOfRangeError({TopicPartition("raw", 0): 10}))
    assert isinstance(consumer.reason, StateRefused)
    assert consumer._thread.sought == []
    consumer.reason = None
    await consumer._out_of_range(OffsetOutOfRangeError({TopicPartition("other", 0): 10}))
    assert consumer.reason is None
    assert consumer._thread.sought == [(TP("other", 0), 15)]


async def test_a_topic_that_is_gone_ends_the_worker_before_anything_is_read(consumer):
    await consumer._check_positions(["raw"], set())
    consumer._thread.unknown = ["raw"]
    with pytest.raises(Exception, match="topic raw is not on this broker"):
        await consumer._check_positions(["raw"], set())
    assert consumer.reason is not None
