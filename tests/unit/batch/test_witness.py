"""The record at an offset, out of a broker's answer to a fetch."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import LeaderNotAvailableError, NotLeaderForPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.types import TP

from k2stream.batch import _witness as witness
from k2stream.batch.proof import Shown, proof_of
from tests.fakes import Fake

TP0 = TP("raw", 0)


def broker_batch(base, count):
    builder = BatchBuilder(900_000, 0)
    for n in range(count):
        builder.append(timestamp=1000 + base + n, key=b"k", value=b"v%d" % (base + n))
    data = bytearray(builder._build())
    data[:8] = base.to_bytes(8, "big")
    return bytes(data)


class Client(Fake):
    """A broker with a log of whole batches, which answers as from any of them."""

    def __init__(self, data=b"", code=0, leader=7):
        self.data, self.code, self.asked, self.refreshed = data, code, [], 0
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: leader)

    def get_random_node(self):
        return None  # it has no ids

    def force_metadata_update(self):
        self.refreshed += 1

    async def send(self, node, request):
        self.asked.append((node, request.topics))
        partition = (0, self.code, 100, 100, 0, [], self.data)
        return SimpleNamespace(topics=[("raw", [partition])])


def proof(offset):
    return proof_of(offset, 1000 + offset, b"k", b"v%d" % offset)


@pytest.mark.parametrize("offset", [10, 12, 14, 15, 19])
async def test_a_record_in_any_place_of_a_batch(offset):
    client = Client(broker_batch(10, 5) + broker_batch(15, 5))
    assert await witness.records_at(client, {TP0: offset}) == {TP0: proof(offset)}
    assert client.asked == [(7, [("raw", [(0, offset, witness.READ_BYTES)])])]


@pytest.mark.parametrize("data", [b"", broker_batch(15, 5), broker_batch(0, 5)])
async def test_an_offset_without_a_record_has_none(data):
    assert await witness.records_at(Client(data), {TP0: 12}) == {TP0: None}


async def test_an_offset_out_of_range_has_none():
    assert await witness.records_at(Client(code=1), {TP0: 12}) == {TP0: None}


async def test_no_answer_is_an_error_and_asks_who_leads():
    for client, error in (
        (Client(leader=-1), LeaderNotAvailableError),
        (Client(code=6), NotLeaderForPartitionError),
    ):
        with pytest.raises(error):
            await witness.records_at(client, {TP0: 12})
        assert client.refreshed == 1


async def test_many_partitions_are_asked_at_once_and_not_too_many():
    waiting, most = 0, 0

    class Slow(Client):
        async def send(self, node, request):
            nonlocal waiting, most
            waiting += 1
            most = max(most, waiting)
            for _ in range(3):
                await asyncio.sleep(0)
            waiting -= 1
            return await super().send(node, request)

    wanted = {TP("raw", number): 10 + number % 5 for number in range(100)}
    found = await witness.records_at(Slow(broker_batch(10, 5)), wanted)
    assert found == {tp: proof(offset) for tp, offset in wanted.items()}
    assert most == witness.AT_ONCE


async def test_what_a_partition_shows():
    async def offsets(value):
        return dict.fromkeys([TP0], value)

    client = Client(broker_batch(10, 5))
    consumer = SimpleNamespace(
        _client=client, beginning_offsets=lambda tps: offsets(10), end_offsets=lambda tps: offsets(15)
    )
    assert await witness.look_at(consumer, {TP0: 14}) == {TP0: Shown(10, 15, proof(14))}
    for outside in (9, 15, -1):
        assert await witness.look_at(consumer, {TP0: outside}) == {TP0: Shown(10, 15)}
    assert len(client.asked) == 1
