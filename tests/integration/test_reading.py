"""What expired before it was read is an error of its own, in every reader: it is not empty."""

import pytest
from aiokafka import AIOKafkaProducer

from k2stream import settings
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError, Expired
from k2stream.platform.addresses import local_settings
from k2stream.reconcile.audit.topics import reader as audit_reader
from k2stream.reconcile.oracle import raw_log
from tests import kafka

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

TOPIC = "expiring"


@pytest.fixture
def at(stack):
    return local_settings(settings.load(), stack)


async def filled(at, name):
    """A topic of 100 records."""
    await kafka.create(at.kafka.bootstrap, name, 1)
    async with AIOKafkaProducer(bootstrap_servers=at.kafka.bootstrap) as producer:
        for n in range(100):
            await producer.send_and_wait(name, b"%d" % n, partition=0)


async def expire(at, name, before):
    await kafka.expire(at.kafka.bootstrap, name, 0, before)


@pytest.mark.parametrize("columnar", [False, True])
async def test_a_stretch_whose_beginning_expired_is_not_empty(at, columnar):
    name = f"{TOPIC}-{columnar}"
    await filled(at, name)
    async with Reader(at.kafka, columnar=columnar) as reader:
        held = await reader.retained(name, 1)
        await expire(at, name, 10)
        with pytest.raises(Expired, match=rf"{name}\[0\] has no offset 0"):
            async for _ in reader.read(name, held):
                pass


async def test_the_audit_and_the_oracle_do_not_take_it_for_empty(at):
    name = f"{TOPIC}-audit"
    await filled(at, name)
    async with audit_reader(at.kafka) as topics:
        await expire(at, name, 10)
        with pytest.raises(Expired):
            async for _ in topics._read(name, {0: (0, 100)}):
                pass
    with pytest.raises(ConfigError, match="expired or were cut off"):
        async for _ in raw_log.read_to_end(
            at.kafka, name, {0: raw_log.RetainedOffsets(0, 100)}
        ):  # as it was a moment ago
            pass


async def test_a_reader_of_nothing_ends_as_any_other(at):
    """A client that was stopped before its own tasks had begun cancelled its caller."""
    async with Reader(at.kafka):
        pass
