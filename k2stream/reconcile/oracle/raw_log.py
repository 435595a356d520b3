"""Reads whole topics as they are at the call, with each record's position, over separate connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings

_AT_ONCE = 20_000
_WAIT_MS = 500


class RetainedOffsets(NamedTuple):
    """The offsets of a partition: from `begin` up to, but excluding, `end`."""

    begin: int
    end: int


Bounds = dict[int, RetainedOffsets]
"""By partition."""


@asynccontextmanager
async def _connected(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_poll_records=_AT_ONCE,
        **settings.connection,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def retained(settings: KafkaSettings, topic: str) -> Bounds:
    """The offsets each partition of a topic has now; empty when the topic does not exist."""
    async with _connected(settings) as consumer:
        await consumer._client.force_metadata_update()  # noqa: SLF001 - partitions_for_topic reads cached metadata only
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        partitions = [TopicPartition(topic, number) for number in numbers]
        begin = await consumer.beginning_offsets(partitions)
        end = await consumer.end_offsets(partitions)
        return {tp.partition: RetainedOffsets(begin[tp], end[tp]) for tp in partitions}


async def from_times(settings: KafkaSettings, topic: str, times: Mapping[int, int]) -> dict[int, int | None]:
    """By partition, the first offset whose record has at least a given time (ms); None for no such record."""
    async with _connected(settings) as consumer:
        wanted = {TopicPartition(topic, number): max(ms, 0) for number, ms in times.items()}
        found = await consumer.offsets_for_times(wanted)
        return {tp.partition: at.offset if at else None for tp, at in found.items()}


async def read_to_end(
    settings: KafkaSettings, topic: str, bounds: Bounds | None = None
) -> AsyncIterator[tuple[int, Sequence[Any]]]:
    """Yield (partition, records) within the bounds, by default all that the topic has at the call.

    Raises ConfigError when offsets expire before they are read, as the rest would look complete.
    """
    bounds = await retained(settings, topic) if bounds is None else bounds
    wanted = {TopicPartition(topic, number): part for number, part in bounds.items()}
    wanted = {tp: part for tp, part in wanted.items() if part.begin < part.end}
    if not wanted:
        return
    async with _connected(settings) as consumer:
        consumer.assign(list(wanted))
        for tp, part in wanted.items():
            consumer.seek(tp, part.begin)
        while any([await consumer.position(tp) < part.end for tp, part in wanted.items()]):
            try:
                answer = await consumer.getmany(timeout_ms=_WAIT_MS)
            except OffsetOutOfRangeError as error:
                raise ConfigError(
                    f"{topic}: offsets expired or were cut off while they were read ({error}); run it again"
                ) from None
            for tp, records in answer.items():
                kept = [record for record in records if record.offset < wanted[tp].end]
                if kept:
                    yield tp.partition, kept
