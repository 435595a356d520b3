"""What tests ask of a broker: topics to their ends, groups, and what administrators do."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError

from k2stream.kafka.admin import Admin

GONE_SECONDS = 20.0


@asynccontextmanager
async def administering(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, started."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def consuming(
    bootstrap: str, tps: Sequence[TopicPartition], group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of partitions, outside of its group's membership; it commits what it is told to."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, max_poll_records=20_000
    ) as consumer:
        consumer.assign(list(tps))
        yield consumer


def partitions(topic: str, count: int) -> list[TopicPartition]:
    """The partitions of a topic that has so many."""
    return [TopicPartition(topic, number) for number in range(count)]


async def read(bootstrap: str, topic: str, count: int) -> dict[int, list[Any]]:
    """All records of a topic of so many partitions, by partition."""
    tps = partitions(topic, count)
    async with consuming(bootstrap, tps) as consumer:
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        found: dict[int, list[Any]] = {tp.partition: [] for tp in tps}
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += records
        return found


class GroupProgress(NamedTuple):
    """What a group has committed, 0 where it has nothing, and the ends of what it reads."""

    committed: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]

    @property
    def lag(self) -> int:
        """Records that are not committed."""
        return sum(self.ends.values()) - sum(self.committed.values())


async def progress(bootstrap: str, group: str, tps: Sequence[TopicPartition]) -> GroupProgress:
    """How far a group is in partitions."""
    async with consuming(bootstrap, tps, group) as consumer:
        ends = await consumer.end_offsets(list(tps))
        return GroupProgress({tp: await consumer.committed(tp) or 0 for tp in tps}, ends)


async def members(bootstrap: str, group: str) -> set[str]:
    """Ids of a group's members; none while it is not stable, or its coordinator is away."""
    admin = Admin(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([group])
    except KafkaError:
        return set()
    finally:
        await admin.close()
    _, _, state, _, _, found, *_ = answer.groups[0]
    return {member[0] for member in found} if state == "Stable" else set()


async def create(bootstrap: str, topic: str, count: int, configs: Mapping[str, str] | None = None) -> None:
    """Create a topic of so many partitions."""
    async with administering(bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, count, 1, topic_configs=dict(configs or {}))])


async def delete(bootstrap: str, topic: str) -> None:
    """Delete a topic; returns when the broker no longer lists it."""
    async with administering(bootstrap) as admin:
        await admin.delete_topics([topic])
        deadline = time.monotonic() + GONE_SECONDS
        while topic in await admin.list_topics():
            assert time.monotonic() < deadline, f"{topic} is still there"
            await asyncio.sleep(0.05)


async def expire(bootstrap: str, topic: str, partition: int, before: int) -> None:
    """Delete the records below an offset, as retention does."""
    async with administering(bootstrap) as admin:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=before)})
