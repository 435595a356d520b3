"""Reads topics for the audit: offsets of a time window, positions of trades, keys of candles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from k2stream import faults, topics
from k2stream.avro import candles, registry, trades
from k2stream.batch import TP, RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.kafka.client import all_there
from k2stream.model.errors import UNREADABLE
from k2stream.reconcile.audit.compare import Source
from k2stream.settings import KafkaSettings

_AT_ONCE = 20_000
_POLL_MS = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Columns = TypeVar("Columns")

Ranges = Mapping[int, tuple[int, int]]
"""By partition: the first offset, and the offset after the last."""


class OffsetSpan(NamedTuple):
    """A partition's offsets: its oldest, the window's first, the first that may be uncommitted, its end."""

    beginning: int
    first: int
    due: int
    end: int


class Topics:
    """Reads the platform's topics."""

    def __init__(self, settings: KafkaSettings, consumer: AIOKafkaConsumer) -> None:
        self._settings, self._consumer = settings, consumer
        self._counts = {topic.name: topic.partitions for topic in topics.declared(settings)}

    async def spans(self, topic: str, start: datetime, due: datetime) -> dict[int, OffsetSpan]:
        """The window's offsets by partition; records before `due` should have been committed by now."""
        partitions = [TopicPartition(topic, number) for number in range(self._counts[topic])]
        beginnings = await self._consumer.beginning_offsets(partitions)
        firsts, dues = [
            await self._consumer.offsets_for_times(dict.fromkeys(partitions, int(when.timestamp() * 1000)))
            for when in (start, due)
        ]
        ends = await self._consumer.end_offsets(partitions)
        return {
            tp.partition: OffsetSpan(
                beginnings[tp],
                firsts[tp].offset if firsts[tp] else ends[tp],
                dues[tp].offset if dues[tp] else ends[tp],
                ends[tp],
            )
            for tp in partitions
        }

    async def trades(self, ranges: Ranges, since: datetime) -> dict[Source, NDArray[np.int64]]:
        """Raw offsets of trades in the normalized topic that were received since a time."""
        received = int(since.timestamp() * 1_000_000)
        found: defaultdict[Source, list[NDArray[np.int64]]] = defaultdict(list)
        async for _, records in self._read(topics.NORMALIZED, ranges):
            hot = self._readable(records, lambda batch: trades.decode_hot(batch.values, batch.keys))
            exchanges = np.array([key.partition(":")[0] for key in hot.keys])[hot.key]
            fresh = hot.receive_time >= received
            for exchange in np.unique(exchanges):
                for partition in np.unique(hot.raw_partition):
                    chosen = fresh & (exchanges == exchange) & (hot.raw_partition == partition)
                    found[str(exchange), int(partition)].append(hot.raw_offset[chosen])
        return {source: np.concatenate(pieces) for source, pieces in found.items()}

    async def candles(self, topic: str, ranges: Ranges) -> set[tuple[str, str, datetime]]:
        """Exchange, canonical symbol and open time of the candles in a candle topic's records."""
        found = set()
        async for _, records in self._read(topic, ranges):
            for candle in self._readable(records, lambda batch: candles.decode(batch.values)):
                opened = _EPOCH + timedelta(milliseconds=candle.open_time)
                found.add((candle.exchange, candle.canonical_symbol, opened))
        return found

    async def no_records(self, topic: str, partition: int, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the ascending offsets where the topic has no record, e.g. transaction markers."""
        (begin,) = (await self._consumer.beginning_offsets([TopicPartition(topic, partition)])).values()
        (end,) = (await self._consumer.end_offsets([TopicPartition(topic, partition)])).values()
        offsets = offsets[(offsets >= begin) & (offsets < end)]
        if not len(offsets):
            return offsets
        records: list[int] = []
        async for _, found in self._read(topic, {partition: (int(offsets[0]), int(offsets[-1]) + 1)}):
            records += [record.offset for record in found]
        return np.setdiff1d(offsets, records)

    async def dead(self, topic: str) -> set[tuple[int, int]]:
        """(partition, offset) of the records of a topic that became dead letters."""
        partitions = [TopicPartition(topics.DLQ, number) for number in range(self._counts[topics.DLQ])]
        beginnings = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        found = set()
        async for _, records in self._read(
            topics.DLQ, {tp.partition: (beginnings[tp], ends[tp]) for tp in partitions}
        ):
            for record in records:
                with suppress(*UNREADABLE):  # other records are not dead letters
                    letter = msgspec.json.decode(record.value or b"", type=DeadLetter)
                    found |= {(letter.partition, letter.offset)} if letter.topic == topic else set()
        return found

    async def _read(self, topic: str, ranges: Ranges) -> AsyncIterator[tuple[int, list[Any]]]:
        wanted = {
            TopicPartition(topic, number): bounds
            for number, bounds in ranges.items()
            if bounds[0] < bounds[1]
        }
        if not wanted:
            return
        self._consumer.assign(list(wanted))
        for tp, (first, _) in wanted.items():
            self._consumer.seek(tp, first)
        left = dict(wanted)
        while left:
            with all_there(f"reading {topic}"):
                polled = await self._consumer.getmany(*left, timeout_ms=_POLL_MS)
            for tp, records in polled.items():
                kept = [record for record in records if record.offset < wanted[tp][1]]
                if kept:
                    yield tp.partition, kept
            left = {tp: span for tp, span in left.items() if await self._consumer.position(tp) < span[1]}

    def _readable(self, records: list[Any], decode: Callable[[RecordBatch], Columns]) -> Columns:
        """Decode the readable records; the others are dead letters, and have no rows."""
        registry.look_up((record.value for record in records), self._settings.registry)
        return faults.read(RecordBatch.from_records(TP("", 0), records), decode)[1]


@asynccontextmanager
async def reader(settings: KafkaSettings) -> AsyncIterator[Topics]:
    """A reader that is connected while the context is open."""
    consumer = AIOKafkaConsumer(
        **settings.connection,
        enable_auto_commit=False,
        max_poll_records=_AT_ONCE,
        auto_offset_reset="none",
    )
    try:
        await consumer.start()
        yield Topics(settings, consumer)
    finally:
        await consumer.stop()
