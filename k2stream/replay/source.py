"""Where the raw records come from: each partition's topic, and before its beginning the cold tier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from faust.types import TP
from pyiceberg.catalog import Catalog

from k2stream import exchanges, topics
from k2stream.batch import RecordBatch
from k2stream.delivery.buffer import together
from k2stream.delivery.progress import Partition, Position
from k2stream.iceberg import writer
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.replay import native
from k2stream.settings import Settings

Origin = Literal["auto", "topics", "cold"]

COLD_OFFSETS = 200_000
"""Offsets a scan of the cold tier spans: its rows are in memory at once."""


class Stretch(NamedTuple):
    """What is read of a partition: offsets below `begin` from the cold tier, below `end` from Kafka."""

    exchange: str
    partition: int
    begin: int
    end: int


def stretch(origin: Origin, exchange: str, partition: int, held: tuple[int, int], cold_end: int) -> Stretch:
    """The stretch of a partition of which Kafka holds [begin, end) and the cold tier all below `cold_end`.

    Raises ConfigError when the two leave a hole, or the cold tier was filled from another topic of the name.
    """
    begin, end = held
    where = f"{topics.raw(exchange)}[{partition}]"
    if origin == "cold":
        return Stretch(exchange, partition, cold_end, cold_end)
    if begin and origin == "topics":
        raise ConfigError(
            f"{where} begins at offset {begin}, what was before has expired: replay --from auto or cold"
        )
    if cold_end > end and origin == "auto":
        raise ConfigError(
            f"{where} ends at offset {end}, the cold tier at {cold_end}: the topic was created again, "
            "and only --from cold can rebuild what was before"
        )
    if begin > cold_end:
        raise ConfigError(
            f"{where} begins at offset {begin} and the cold tier ends before {cold_end}: "
            f"offsets {cold_end} to {begin - 1} are nowhere, so nothing can be rebuilt exactly"
        )
    return Stretch(exchange, partition, begin, end)


async def plan(settings: Settings, reader: Reader, catalog: Catalog, origin: Origin) -> list[Stretch]:
    """What there is to read now, in the order of reading. Raises ConfigError as `stretch`."""
    found = []
    for exchange in topics.EXCHANGES:
        topic, count = topics.raw(exchange), settings.raw_partitions(exchange)
        cold = writer.positions(catalog.load_table(_bronze(exchange)))
        held = await reader.held(topic, count)  # after it: a sink that runs is never ahead
        for number in range(count):
            cold_end = cold.get(Partition(topic, number), Position()).offset + 1
            found.append(stretch(origin, exchange, number, held[number], cold_end))
    return found


async def batches(
    reader: Reader, catalog: Catalog, part: Stretch, size: int, note: Callable[[str], None]
) -> AsyncIterator[RecordBatch]:
    """The records of a stretch in order, in batches that end at multiples of `size`, however they came."""
    held: list[RecordBatch] = []
    async for batch in _all(reader, catalog, part, note):
        rest = batch
        while len(rest):
            first = int((held[0] if held else rest).offsets[0])
            end = (first // size + 1) * size
            count = int(np.searchsorted(rest.offsets, end))
            held += [_cut(rest, 0, count)] if count else []
            if count == len(rest) and rest.offsets[-1] < end - 1:
                break
            yield together(held)
            held, rest = [], _cut(rest, count, len(rest))
    if held:
        yield together(held)


async def _all(
    reader: Reader, catalog: Catalog, part: Stretch, note: Callable[[str], None]
) -> AsyncIterator[RecordBatch]:
    first = None
    for start in range(0, part.begin, COLD_OFFSETS):
        end = min(start + COLD_OFFSETS, part.begin)
        batch = await asyncio.to_thread(cold_batch, catalog, part.exchange, part.partition, start, end)
        if batch is not None:
            first = batch.first_offset if first is None else first
            yield batch
    if part.begin and first != 0:
        note(
            f"the cold tier has no offsets before {part.begin if first is None else first} of "
            f"{topics.raw(part.exchange)}[{part.partition}]: dead letters, or expired before it began"
        )
    async for batch in reader.read(topics.raw(part.exchange), {part.partition: (part.begin, part.end)}):
        inside = _cut(batch, 0, int(np.searchsorted(batch.offsets, part.end)))
        if len(inside):
            yield inside


def cold_batch(catalog: Catalog, exchange: str, partition: int, start: int, end: int) -> RecordBatch | None:
    """Raw records of offsets [start, end) from bronze, where dead letters are not."""
    where = f"raw_partition == {partition} and raw_offset >= {start} and raw_offset < {end}"
    rows = catalog.load_table(_bronze(exchange)).scan(row_filter=where).to_arrow()
    if not len(rows):
        return None
    offsets, order = np.unique(rows["raw_offset"].to_numpy(), return_index=True)
    rows = rows.take(pa.array(order))
    symbols = rows[exchanges.get(exchange).native.symbol].to_pylist()
    return RecordBatch(
        TP(topics.raw(exchange), partition),
        offsets,
        rows["receive_time"].cast(pa.int64()).to_numpy() // 1000,
        [symbol.encode() for symbol in symbols],
        list(native.records(exchange, rows)),
    )


def _bronze(exchange: str) -> str:
    return f"cold.bronze_trades_{exchange}"


def _cut(batch: RecordBatch, first: int, end: int) -> RecordBatch:
    rows = slice(first, end)
    return RecordBatch(
        batch.tp, batch.offsets[rows], batch.timestamps[rows], batch.keys[rows], batch.values[rows]
    )
