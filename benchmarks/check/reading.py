"""A stage's output topics from their first record to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

_AT_ONCE = 20_000  # records


async def ends(bootstrap: str, topics: Collection[str]) -> dict[TopicPartition, int]:
    """The end offset of each partition of these topics; nothing for topics that do not exist."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        return await _ends(consumer, topics)


async def names(bootstrap: str) -> set[str]:
    """The topics that exist."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        return set(await consumer.topics())


async def read(bootstrap: str, topics: Collection[str]) -> AsyncIterator[list[Any]]:
    """Their records, by pieces; those of a partition in order."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        wanted = {at: end for at, end in (await _ends(consumer, topics)).items() if end}
        consumer.assign(list(wanted))
        await consumer.seek_to_beginning()
        while wanted:
            for records in (await consumer.getmany(timeout_ms=500, max_records=_AT_ONCE)).values():
                yield records
            wanted = {at: end for at, end in wanted.items() if await consumer.position(at) < end}


async def _ends(consumer: AIOKafkaConsumer, topics: Collection[str]) -> dict[TopicPartition, int]:
    cluster = (
        await consumer._client.fetch_all_metadata()
    )  # the consumer itself knows what it is subscribed to
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in cluster.partitions_for_topic(topic) or ()
    ]
    found: dict[TopicPartition, int] = await consumer.end_offsets(partitions) if partitions else {}
    return found
