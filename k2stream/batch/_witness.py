"""Asks a broker for a partition's first and last offset, and the record at one offset."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import LeaderNotAvailableError, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from k2stream.batch import _topic_ids as topic_ids
from k2stream.batch._records import TP
from k2stream.batch.proof import Proof, Shown, proof_of

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import Client, KafkaConsumer

WAIT_MS, READ_BYTES = 0, 1 << 12
AT_ONCE = 16
"""Requests: each answer may be a whole batch, of up to 1 MB."""
_READ_UNCOMMITTED = 0


async def look_at(consumer: KafkaConsumer, wanted: Mapping[TP, int]) -> dict[TP, Shown]:
    """Return each partition's offsets and ids, and the record at the wanted offset (-1 for no record).

    Raises KafkaError when a partition's leader does not answer.
    """
    tps = [TopicPartition(*tp) for tp in wanted]
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    there = {
        tp: offset
        for tp, offset in wanted.items()
        if begins[TopicPartition(*tp)] <= offset < ends[TopicPartition(*tp)]
    }
    records = await records_at(consumer._client, there)
    cluster, ids = await topic_ids.ids(consumer._client, (tp.topic for tp in wanted))
    return {
        tp: Shown(
            begin=begins[TopicPartition(*tp)],
            end=ends[TopicPartition(*tp)],
            record=records.get(tp),
            topic_id=ids.get(tp.topic) or "",
            cluster=cluster,
        )
        for tp in wanted
    }


async def records_at(client: Client, wanted: Mapping[TP, int]) -> dict[TP, Proof | None]:
    """Return the record at an offset of each partition, or None. Raises KafkaError as `look_at` does."""
    # One after the other, a worker with a hundred partitions would wait for as many answers at each commit.
    turns = asyncio.Semaphore(AT_ONCE)
    found = await asyncio.gather(*(_record_at(client, turns, tp, offset) for tp, offset in wanted.items()))
    return dict(zip(wanted, found, strict=True))


async def _record_at(client: Client, turns: asyncio.Semaphore, tp: TP, offset: int) -> Proof | None:
    async with turns:
        return await _ask(client, tp, offset)


async def _ask(client: Client, tp: TP, offset: int) -> Proof | None:
    leader = client.cluster.leader_for_partition(TopicPartition(*tp))
    if leader is None or leader == -1:
        client.force_metadata_update()
        raise LeaderNotAvailableError(f"{tp.topic}[{tp.partition}]")
    asked = [(tp.topic, [(tp.partition, offset, READ_BYTES)])]
    request = FetchRequest(WAIT_MS, 1, READ_BYTES, _READ_UNCOMMITTED, asked)
    answer = await client.send(leader, request)
    ((_, ((_, code, *_, data),)),) = answer.topics
    error = for_code(code)
    if error is OffsetOutOfRangeError:
        return None
    if code:
        client.force_metadata_update()
        raise error(f"{tp.topic}[{tp.partition}]")
    return _find(data, offset)


def _find(data: bytes, offset: int) -> Proof | None:
    source = MemoryRecords(data)
    while source.has_next():
        batch = source.next_batch()
        if batch.next_offset <= offset or batch.is_control_batch:
            continue
        for record in batch:
            if record.offset >= offset:
                same = record.offset == offset
                return proof_of(offset, record.timestamp, record.key, record.value) if same else None
    return None
