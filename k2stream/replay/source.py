"""The source of raw records: each partition's topic, and the cold tier for what has expired there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal, NamedTuple

import numpy as np

from k2stream import topics
from k2stream.batch import RecordBatch
from k2stream.delivery.buffer import together
from k2stream.iceberg import read
from k2stream.iceberg.catalog import Catalog
from k2stream.kafka.reader import Reader
from k2stream.layers import table as layer_tables
from k2stream.model.errors import ConfigError
from k2stream.replay.bronze import SPAN, Bronze
from k2stream.settings import KafkaSettings

Origin = Literal["auto", "topics", "cold"]


class SourceRange(NamedTuple):
    """What to read of a partition: offsets below `begin` from bronze, then below `end` from Kafka."""

    exchange: str
    partition: int
    begin: int
    end: int


def stretch(
    origin: Origin, exchange: str, partition: int, retained: tuple[int, int], cold_end: int
) -> SourceRange:
    """The stretch of a partition that Kafka retains at [begin, end), the cold tier below `cold_end`.

    Raises ConfigError when a hole is between them, or when the cold tier was filled from an earlier topic.
    """
    begin, end = retained
    where = f"{topics.raw(exchange)}[{partition}]"
    if origin == "cold":
        return SourceRange(exchange, partition, cold_end, cold_end)
    if begin and origin == "topics":
        raise ConfigError(
            f"{where} begins at offset {begin}, what was before has expired: use --from auto or --from cold"
        )
    if cold_end > end and origin == "auto":
        raise ConfigError(
            f"{where} ends at offset {end}, the cold tier at {cold_end}: the topic was created again, "
            "and only --from cold can rebuild what was before"
        )
    if begin > cold_end:
        raise ConfigError(
            f"{where} begins at offset {begin} and the cold tier ends before {cold_end}: "
            f"offsets {cold_end} to {begin - 1} are nowhere, so nothing can be rebuilt exactly; restore the "
            "cold tier"
        )
    return SourceRange(exchange, partition, begin, end)


async def plan(
    settings: KafkaSettings, reader: Reader, catalog: Catalog, origin: Origin
) -> list[SourceRange]:
    """The stretches to read now, in reading order. Raises ConfigError as `stretch` does."""
    found = []
    for exchange in topics.EXCHANGES:
        topic, count = topics.raw(exchange), settings.raw_partitions(exchange)
        cold = read.find(catalog, layer_tables.BRONZE[exchange].cold)
        retained = await reader.retained(topic, count)  # after `cold`, so that a running sink is never ahead
        for number in range(count):
            found.append(stretch(origin, exchange, number, retained[number], read.end(cold, topic, number)))
    return found


async def batches(
    reader: Reader, bronze: Bronze, part: SourceRange, size: int, say: Callable[[str], None]
) -> AsyncIterator[RecordBatch]:
    """The records of a stretch, in batches that end at multiples of `size`, whatever sizes are delivered."""
    buffered: list[RecordBatch] = []
    async for batch in _all(reader, bronze, part, say):
        rest = batch
        while len(rest):
            first = int((buffered[0] if buffered else rest).offsets[0])
            end = (first // size + 1) * size
            count = int(np.searchsorted(rest.offsets, end))
            buffered += [_cut(rest, 0, count)] if count else []
            if count == len(rest) and rest.offsets[-1] < end - 1:
                break
            yield together(buffered)
            buffered, rest = [], _cut(rest, count, len(rest))
    if buffered:
        yield together(buffered)


async def _all(
    reader: Reader, bronze: Bronze, part: SourceRange, say: Callable[[str], None]
) -> AsyncIterator[RecordBatch]:
    first = None
    for start in range(0, part.begin, SPAN):
        end = min(start + SPAN, part.begin)
        batch = await asyncio.to_thread(bronze.batch, part.exchange, part.partition, start, end)
        if batch is not None:
            first = batch.first_offset if first is None else first
            yield batch
    if part.begin and first != 0:
        say(
            f"bronze has no offsets before {part.begin if first is None else first} of "
            f"{topics.raw(part.exchange)}[{part.partition}]: dead letters, or expired before it began"
        )
    async for batch in within(reader, topics.raw(part.exchange), part.partition, (part.begin, part.end)):
        yield batch


async def within(
    reader: Reader, topic: str, partition: int, offsets: tuple[int, int]
) -> AsyncIterator[RecordBatch]:
    """The records of a partition from an offset to before another one, in batches as they are delivered."""
    async for batch in reader.read(topic, {partition: offsets}):
        first, end = np.searchsorted(batch.offsets, offsets).tolist()
        inside = _cut(batch, first, end)
        if len(inside):
            yield inside


def _cut(batch: RecordBatch, first: int, end: int) -> RecordBatch:
    rows = slice(first, end)
    return RecordBatch(
        batch.tp, batch.offsets[rows], batch.timestamps[rows], batch.keys[rows], batch.values[rows]
    )
