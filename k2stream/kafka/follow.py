"""Follows topics indefinitely: in a group that commits progress, or without one from the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from k2stream.batch import TP, check_answers
from k2stream.settings import KafkaSettings

SESSION_MS, HEARTBEAT_MS = 6_000, 1_000
STOP_SECONDS = 1.0
"""After this time, the broker is considered unavailable."""

_POLL_MS = 1_000


class GroupReader:
    """A member of a consumer group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def poll(self) -> Mapping[TP, Sequence[Any]]:
        """The next records by partition; empty after a second without any."""
        polled = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return {TP(*tp): records for tp, records in polled.items()}

    async def commit(self, tp: TP, offset: int) -> None:
        """Commit an offset: all records below it are done."""
        await self._consumer.commit({TopicPartition(*tp): offset})


@asynccontextmanager
async def in_group(
    settings: KafkaSettings, topic: str, group: str, longest_ms: int
) -> AsyncIterator[GroupReader]:
    """Read a topic in a group, at first from its beginning; at most `longest_ms` between two polls."""
    consumer = AIOKafkaConsumer(
        topic,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        max_poll_interval_ms=longest_ms,
        rebalance_timeout_ms=SESSION_MS,
        **settings.connection,
    )
    check_answers(consumer._client)  # noqa: SLF001 - pinned
    try:
        await consumer.start()
        yield GroupReader(consumer)
    finally:
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(consumer.stop(), STOP_SECONDS)


class Followed(NamedTuple):
    """The records of one poll of a partition, and the partition's first offset when following began."""

    records: Sequence[Any]
    beginning: int
    caught_up: bool  # all records that existed at the start were yielded before


async def from_beginning(settings: KafkaSettings, tp: TP) -> AsyncGenerator[Followed, None]:
    """Follow a partition's records from its beginning; yields one item per poll, at least one per second."""
    where = TopicPartition(*tp)
    consumer = AIOKafkaConsumer(
        group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **settings.connection
    )
    try:
        await consumer.start()
        consumer.assign([where])
        end = (await consumer.end_offsets([where]))[where]
        beginning = (await consumer.beginning_offsets([where]))[where]
        caught_up = False
        while True:
            if not caught_up and await consumer.position(where) >= end:
                caught_up = True
                yield Followed([], beginning, caught_up)
            polled = await consumer.getmany(timeout_ms=_POLL_MS)
            yield Followed(
                [record for records in polled.values() for record in records], beginning, caught_up
            )
    finally:
        await consumer.stop()
