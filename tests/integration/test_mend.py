"""What `k2 mend` does to topics and groups."""

import asyncio
import os
import signal

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from k2stream import settings
from k2stream.batch import TP
from k2stream.kafka.deletion import delete_before
from k2stream.kafka.reader import Reader
from k2stream.mend import lift
from k2stream.platform.addresses import local_settings
from tests import kafka

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def at(stack):
    return local_settings(settings.load(), stack)


def record(n):
    return b'{"pair":"XBT/USD","price":"1.5","k2_seq":%d}' % n


async def create(at, topic, *, anew=False):
    if anew:
        await kafka.delete(at.kafka.bootstrap, topic)
    await kafka.create(at.kafka.bootstrap, topic, 1)


async def publish(at, topic, numbers):
    async with AIOKafkaProducer(bootstrap_servers=at.kafka.bootstrap) as producer:
        for n in numbers:
            sent = await producer.send_and_wait(topic, record(n), b"XBT/USD", partition=0)
    return sent.timestamp


async def read(at, topic):
    async with Reader(at.kafka) as reader:
        held = await reader.retained(topic, 1)
        found = [(item.offset, msgspec.json.decode(item.value)) async for item in reader.read(topic, held)]
    return held[0], found


async def test_offsets_that_were_used_are_never_used_again_and_new_trades_come_again_above_them(at):
    topic = "lifted"
    await create(at, topic)
    newest = await publish(at, topic, range(250))
    await create(at, topic, anew=True)
    await publish(at, topic, range(1000, 1030))
    todo = await lift.plan(at.kafka, topic, 0, 250, newest)
    assert (todo.first, todo.end, todo.copies) == (0, 30, 30)
    await lift.lift(at.kafka, [todo], print)
    await publish(at, topic, [2000])  # the feed goes on
    for _ in range(2):
        held, found = await read(at, topic)
        assert held == (250, 281)
        assert [offset for offset, _ in found] == list(range(250, 281))
        assert [item["k2_seq"] for _, item in found] == [*range(1000, 1030), 2000]
        assert [item.get("k2_backfilled", False) for _, item in found] == [True] * 30 + [False]
        await lift.lift(at.kafka, [todo], print)  # broken off and run again: nothing comes twice


async def test_a_topic_that_has_outgrown_the_old_one_gives_back_only_what_lies_below(at):
    topic = "outgrown"
    await create(at, topic)
    newest = await publish(at, topic, range(20))
    await create(at, topic, anew=True)
    await publish(at, topic, range(1000, 1050))
    todo = await lift.plan(at.kafka, topic, 0, 20, newest)
    assert todo.copies == 20
    await lift.lift(at.kafka, [todo], print)
    held, found = await read(at, topic)
    assert held == (20, 70)
    assert [item["k2_seq"] for _, item in found] == [*range(1020, 1050), *range(1000, 1020)]
    assert sum(item.get("k2_backfilled", False) for _, item in found) == 20


async def test_a_log_that_was_cut_gives_back_only_what_is_new(at):
    topic = "cut"
    await create(at, topic)
    newest = await publish(at, topic, range(20))
    await asyncio.sleep(0.01)  # the next record is of another millisecond
    await publish(at, topic, range(1000, 1005))
    todo = await lift.plan(at.kafka, topic, 0, 40, newest)
    assert (todo.first, todo.copies) == (20, 5)
    await lift.lift(at.kafka, [todo], print)
    held, found = await read(at, topic)
    assert held == (40, 45)
    assert [item["k2_seq"] for _, item in found] == list(range(1000, 1005))


async def test_what_was_deleted_stays_so_when_the_broker_is_killed_right_afterwards(at, running_stack):
    topic = "deleted"
    await create(at, topic)
    await publish(at, topic, range(20))
    await delete_before(at.kafka, {TP(topic, 0): 10})
    broker = running_stack.children["kafka"]
    broker.stopping = True  # its end is wanted
    os.kill(broker.pid, signal.SIGKILL)
    await broker.wait()
    await running_stack.restart("kafka")
    held, found = await read(at, topic)
    assert held == (10, 20)
    assert [item["k2_seq"] for _, item in found] == list(range(10, 20))
