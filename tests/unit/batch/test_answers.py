"""A coordinator that moves to another broker or loads: its group has offsets, which are asked for again."""

from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from faust.transport.drivers import aiokafka as driver

from k2stream.batch import check_answers
from k2stream.batch._fetch import ConsumerThread
from k2stream.kafka import follow
from k2stream.kafka.positions import GroupPositions
from k2stream.settings import KafkaSettings

RAW = TopicPartition("raw", 0)
NOT_COORDINATOR, LOADING, NOT_ALLOWED = 16, 14, 30


def coordinator(*received, check=True):
    """aiokafka's, of a client that receives these error codes, then an offset."""
    made = GroupCoordinator.__new__(GroupCoordinator)
    client = Mock(send=AsyncMock())
    client.send.side_effect = [
        *(OffsetFetchResponse_v3(0, [], code) for code in received),
        OffsetFetchResponse_v3(0, [("raw", [(0, 7, "", 0)])], 0),
    ]
    if check:
        check_answers(client)
    made.group_id, made.coordinator_id, made._client, made._retry_backoff_ms = "k2-hot", 1, client, 0
    made.ensure_coordinator_known = AsyncMock()
    made.coordinator_dead = Mock()
    return made


@pytest.mark.parametrize("code", [NOT_COORDINATOR, LOADING])
async def test_no_offsets_of_a_coordinator_that_moves_or_loads_are_not_none(code):
    asked = coordinator(code, code)
    assert (await asked.fetch_committed_offsets([RAW]))[RAW].offset == 7
    assert asked.coordinator_dead.call_count == 2, "it is looked for anew"


async def test_that_aiokafka_takes_them_for_none():
    """Were this to fail, the check would be unnecessary."""
    assert await coordinator(NOT_COORDINATOR, check=False).fetch_committed_offsets([RAW]) == {}


async def test_what_cannot_be_helped_is_an_error():
    with pytest.raises(GroupAuthorizationFailedError):
        await coordinator(NOT_ALLOWED).fetch_committed_offsets([RAW])


async def test_every_consumer_of_a_group_checks(monkeypatch):
    made = []

    async def stop(self):
        made.append(self)

    monkeypatch.setattr(AIOKafkaConsumer, "start", AsyncMock(side_effect=InterruptedError))
    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop)
    for reader in (
        follow.in_group(KafkaSettings(), "raw", "k2-gap-fill", 1000),
        GroupPositions(KafkaSettings(), "k2-hot", []),
    ):
        with pytest.raises(InterruptedError):
            await reader.__aenter__()
    consumer = AIOKafkaConsumer(group_id="k2-hot")
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: consumer)
    made.append(ConsumerThread.__new__(ConsumerThread)._create_worker_consumer(Mock()))
    assert [each._client.send.__module__ for each in made] == [check_answers.__module__] * 3
