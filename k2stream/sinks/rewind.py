"""At start: a consumer group goes back to what its destination holds.

Kafka's committed offset says what was acknowledged once; the destination says what is there now. When the
tables were wiped, dropped or restored from a backup, the destination is behind, and the rows between are read
again, as far back as Kafka's retention reaches. When the topic was deleted and created again, the destination
is ahead of anything Kafka has: skipping would lose the new records, so a person decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from k2stream import topics
from k2stream.errors import ConfigError
from k2stream.kafka import client_options
from k2stream.settings import Settings
from k2stream.sinks.progress import Position
from k2stream.sinks.route import Route

logger = logging.getLogger(__name__)

MEMBERS_LEAVE_SECONDS = 60
"""How long a group may still count a killed worker as its member."""


def target(held: int, committed: int | None, beginning: int, end: int, where: str) -> int | None:
    """The offset to go back to, None to stay (pure).

    `held` is the last offset that is durable, -1 for none. Raises ConfigError when the topic ends before it.
    """
    if held >= end:
        raise ConfigError(
            f"{where} is durable up to offset {held}, but the topic ends at {end}: it was created again; "
            "delete the table's positions to read it from its beginning (docs/operations.md)"
        )
    wanted = max(held + 1, beginning)
    return wanted if committed is not None and committed > wanted else None


async def rewind(
    settings: Settings,
    group: str,
    routes: Sequence[Route],
    positions: Callable[[Route], Mapping[int, Position]],
) -> None:
    """Move the group's committed offsets back where the destination lacks rows.

    Does nothing while it lacks none. Raises ConfigError when another worker of the group keeps running.
    """
    counts = {topic.name: topic.partitions for topic in topics.declared(settings)}
    partitions = {
        route.topic: [TopicPartition(route.topic, number) for number in range(counts[route.topic])]
        for route in routes
    }
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **client_options(settings))
    await consumer.start()
    try:
        assigned = [tp for found in partitions.values() for tp in found]
        consumer.assign(assigned)
        consumer.pause(*assigned)
        back: dict[TopicPartition, int] = {}
        for route in routes:
            held = await asyncio.to_thread(positions, route)
            back |= await _behind(consumer, route.table, partitions[route.topic], held)
        if back:
            await _commit(consumer, group, back)
    finally:
        await consumer.stop()


async def _behind(
    consumer: AIOKafkaConsumer, table: str, partitions: list[TopicPartition], held: Mapping[int, Position]
) -> dict[TopicPartition, int]:
    beginning = await consumer.beginning_offsets(partitions)
    end = await consumer.end_offsets(partitions)
    found = {}
    for tp in partitions:
        where = f"{table}: {tp.topic}:{tp.partition}"
        committed = await consumer.committed(tp)
        last = held.get(tp.partition, Position()).offset
        wanted = target(last, committed, beginning[tp], end[tp], where)
        if wanted is not None:
            logger.warning("%s: the table lacks rows: reading from %d, not %d", where, wanted, committed)
            found[tp] = wanted
    return found


async def _commit(consumer: AIOKafkaConsumer, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    for _ in range(MEMBERS_LEAVE_SECONDS):
        try:
            await consumer.commit(dict(offsets))
            return
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            logger.warning("group %s still has members: %s", group, error)
            await asyncio.sleep(1)
    raise ConfigError(
        f"tables lack rows that group {group} has passed, and it cannot go back while its workers run: "
        "stop them all, then start one"
    )
