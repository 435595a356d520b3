import asyncio
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from k2stream.batch import _fetch as fetch


def broker_batch(base_offset, count, codec=0):
    """Bytes of one broker batch whose first record has `base_offset`."""
    builder = BatchBuilder(900_000, codec)
    for n in range(count):
        builder.append(timestamp=1000 + n, key=b"k", value=b"v%d" % (base_offset + n))
    data = bytearray(builder._build())
    data[:8] = base_offset.to_bytes(8, "big")  # outside the checksum, as the broker sets it
    return bytes(data)


def marker(offset):
    """Bytes of a broker batch that ends a transaction: it takes an offset and holds no record."""
    data = bytearray(broker_batch(offset, 1))
    data[22] |= 0x20
    data[17:21] = calc_crc32c(data[21:]).to_bytes(4, "big")
    return bytes(data)


def fetched(data, offset):
    return PartitionRecords(
        TopicPartition("t", 3), MemoryRecords(data), None, offset, None, None, True, READ_UNCOMMITTED
    )


def test_columns_hold_what_single_records_hold():
    data = broker_batch(0, 5) + broker_batch(5, 1) + broker_batch(10, 4)
    single = list(fetched(data, 0))
    records = fetched(data, 0)
    (batch,) = fetch.unpack(records)
    assert batch.offsets.tolist() == [record.offset for record in single]
    assert batch.timestamps.tolist() == [record.timestamp for record in single]
    assert (batch.keys, batch.values) == ([r.key for r in single], [r.value for r in single])
    assert tuple(batch.tp) == ("t", 3)
    assert records.next_fetch_offset == 14


@pytest.mark.parametrize(("codec", "name"), [(1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")])
def test_compressed_topics_are_read(codec, name):
    """lz4, snappy and zstd raised UnsupportedCodecError: every worker died of it, again and again."""
    data = broker_batch(0, 500, codec) + broker_batch(500, 1)
    assert len(data) < len(broker_batch(0, 500)), name
    (batch,) = fetch.unpack(fetched(data, 2))
    assert batch.offsets.tolist() == list(range(2, 501))
    assert batch.values == [b"v%d" % offset for offset in range(2, 501)]


def test_a_fetch_from_inside_a_broker_batch_skips_what_comes_before():
    (batch,) = fetch.unpack(fetched(broker_batch(0, 5) + broker_batch(5, 5), 3))
    assert batch.offsets.tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_an_empty_fetch_makes_no_batch():
    assert list(fetch.unpack(fetched(broker_batch(0, 5), 5))) == []


def test_markers_of_transactions_belong_to_the_batch_around_them():
    """Taken for lost offsets they ended both sinks, again after each start."""
    records = fetched(broker_batch(0, 2) + marker(2) + broker_batch(3, 1) + marker(4), 0)
    (batch,) = fetch.unpack(records)
    assert batch.offsets.tolist() == [0, 1, 3]
    assert (batch.first_offset, batch.last_offset) == (0, 4)
    (batch,) = fetch.unpack(fetched(marker(5) + broker_batch(6, 1), 5))
    assert (batch.first_offset, batch.last_offset, batch.offsets.tolist()) == (5, 6, [6])


def test_a_fetch_of_markers_only_is_a_batch_without_records():
    (batch,) = fetch.unpack(fetched(marker(7) + marker(8), 7))
    assert (batch.first_offset, batch.last_offset, len(batch)) == (7, 8, 0)
    assert {batch.offsets.dtype, batch.timestamps.dtype} == {np.dtype(np.int64)}


def test_a_large_fetch_is_cut_at_broker_batches(monkeypatch):
    monkeypatch.setattr(fetch, "MAX_RECORDS", 8)
    records = fetched(b"".join(broker_batch(n * 5, 5) for n in range(5)), 0)
    batches = []
    for batch in fetch.unpack(records):
        batches.append(batch)
        assert records.next_fetch_offset == batch.last_offset + 1
    assert [len(batch) for batch in batches] == [10, 10, 5]


def test_a_wrong_checksum_is_an_error():
    data = bytearray(broker_batch(0, 5))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException, match=r"wrong checksum in t\[3\] at or after offset 0"):
        list(fetch.unpack(fetched(bytes(data), 0)))


def test_making_columns_twice_changes_nothing():
    records = fetched(broker_batch(0, 5), 0)
    assert fetch.make_columnar(records) == len(broker_batch(0, 5))
    iterator = records._records_iterator
    assert fetch.make_columnar(records) == 0
    assert records._records_iterator is iterator
    assert [len(batch) for batch in records] == [5]


@pytest.mark.parametrize("failure", [None, RuntimeError("the connection is gone")])
async def test_the_fetcher_looks_for_work_after_a_request_is_forgotten(monkeypatch, failure):
    async def request(*_):
        if failure:
            raise failure
        return True

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", request)
    fetcher: Any = object.__new__(fetch.ColumnFetcher)
    fetcher.columnar, fetcher.gather = (lambda topic: True), (0.0, 0.0)
    fetcher._records, fetcher._in_flight = {}, {1}
    fetcher._wait_consume_future = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(fetcher._proc_fetch_request(SimpleNamespace(active=False), 1, None))
    task.add_done_callback(lambda _: fetcher._in_flight.discard(1))
    await asyncio.wait([fetcher._wait_consume_future])
    assert fetcher._in_flight == set()
    assert task.exception() is failure


@pytest.mark.parametrize(
    ("waited", "used", "pause"),
    [
        (0.0, 0.001, 0.012),  # little work: the least
        (0.0, 0.006, 0.03),  # a delivery of 6 ms: a fifth of a core
        (0.01, 0.006, 0.02),  # of which the fetch has waited a part
        (0.1, 0.006, 0.012),  # nothing had come for long
        (0.0, 0.040, 0.05),  # much: the most
    ],
)
def test_the_pause_grows_with_the_work_between_its_bounds(waited, used, pause):
    assert fetch.pause_of(waited, used, 0.012, 0.05) == pytest.approx(pause)


async def test_a_fetch_that_is_cancelled_in_its_pause_ends_quietly(monkeypatch):
    """aiokafka cancels and awaits its fetches at a stop: what they raise keeps the worker from ending."""

    async def request(*_):
        return True

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", request)
    fetcher: Any = object.__new__(fetch.ColumnFetcher)
    fetcher.gather, fetcher._records, fetcher._fetch_waiters = (60.0, 60.0), {}, set()
    task = asyncio.ensure_future(fetcher._fetch(SimpleNamespace(active=False), 1, None))
    await asyncio.sleep(0)
    task.cancel()
    assert await task is False


@pytest.mark.parametrize("begun", [False, True])
async def test_requests_cut_off_by_a_stop_do_not_stop_the_stop(begun):
    """A cancellation that gets out ends the consumer's thread before it has told the worker."""

    async def request():
        await asyncio.sleep(60)  # such as the offsets of partitions that were just assigned

    fetcher: Any = object.__new__(fetch.ColumnFetcher)
    tasks = [asyncio.ensure_future(request()) for _ in range(2)]
    fetcher._fetch_task, fetcher._fetch_waiters, fetcher._pending_tasks = tasks[0], set(), {tasks[1]}
    if begun:
        await asyncio.sleep(0)
    await fetcher.close()
    assert all(task.cancelled() for task in tasks) and fetcher._closed


async def test_an_answer_is_as_old_as_its_question(monkeypatch):
    states = {number: SimpleNamespace(timestamp=None) for number in (0, 1)}
    assignment = SimpleNamespace(active=True, state_value=lambda tp: states[tp.partition])
    moments = iter([100.0])

    async def request(*_):
        states[0].timestamp = int(1000 * time.time())  # of the other partition there is an error
        return False

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", request)
    monkeypatch.setattr(fetch, "monotonic", lambda: next(moments))
    fetcher: Any = object.__new__(fetch.ColumnFetcher)
    fetcher.gather, fetcher.asked, fetcher.breaks, fetcher._records = (0.0, 0.0), {}, Counter(), {}
    await fetcher._fetch(assignment, 1, SimpleNamespace(topics=[("t", [(0, 5, 1), (1, 5, 1)])]))
    assert fetcher.asked == {TP("t", 0): 100.0}
    assert fetcher.breaks == {TP("t", 1): 1}


@pytest.mark.parametrize("which", ["thread", "consumer"])
async def test_a_thread_that_failed_keeps_nobody_waiting(monkeypatch, which):
    """A worker whose agent failed waited for its heartbeat for ever: now and then a test saw it."""
    monkeypatch.setattr(fetch, "ANSWER_SECONDS", 0.01)

    async def never(*_, **__):
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "call_thread", never)
    thread: Any = object.__new__(fetch.ConsumerThread)
    failed = False
    crashes = {"thread": SimpleNamespace(is_set=lambda: failed), "consumer": failed_consumer(lambda: failed)}
    thread._crashed = crashes["thread"] if which == "thread" else SimpleNamespace(is_set=lambda: False)
    thread.consumer = crashes["consumer"] if which == "consumer" else failed_consumer(lambda: False)
    asked = asyncio.ensure_future(thread.is_member())
    await asyncio.sleep(0.05)
    assert not asked.done()
    failed = True
    assert await asyncio.wait_for(asked, 60) is False
    with pytest.raises(fetch.ThreadFailed, match="never"):
        await thread.call_thread(never)


def failed_consumer(crashed):
    class Consumer:
        @property
        def crashed(self):
            return crashed()

    return Consumer()


async def test_an_answer_of_the_thread_is_passed_on(monkeypatch):
    async def answer(self, fun, *args, **kwargs):
        return await fun(*args, **kwargs)

    async def fails():
        raise KeyError("seen")

    async def double(number):
        return 2 * number

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "call_thread", answer)
    thread: Any = object.__new__(fetch.ConsumerThread)
    thread._crashed = SimpleNamespace(is_set=lambda: False)
    thread.consumer = failed_consumer(lambda: False)
    assert await thread.call_thread(double, 4) == 8
    with pytest.raises(KeyError, match="seen"):
        await thread.call_thread(fails)


async def test_a_thread_that_has_ended_is_no_member(monkeypatch):
    async def closed(*_, **__):
        raise RuntimeError("Event loop is closed")

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "call_thread", closed)
    thread: Any = object.__new__(fetch.ConsumerThread)
    thread._crashed = SimpleNamespace(is_set=lambda: False)
    thread.consumer = failed_consumer(lambda: True)
    assert await thread.is_member() is False
    thread.consumer = failed_consumer(lambda: False)
    with pytest.raises(RuntimeError):
        await thread.is_member()
