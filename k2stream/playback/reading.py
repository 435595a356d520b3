"""Reads what an exchange sent in a span of time, from its raw topic and from bronze before that."""

from __future__ import annotations

import heapq
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

from k2stream import exchanges, topics
from k2stream.batch import RecordBatch
from k2stream.iceberg.catalog import Catalog
from k2stream.kafka.reader import Reader
from k2stream.playback.order import Ahead, placed
from k2stream.replay.bronze import Bronze
from k2stream.replay.source import Origin, SourceRange, batches, plan
from k2stream.settings import KafkaSettings
from k2stream.simulator.relayed import Recorded

logger = logging.getLogger(__name__)

BATCH = 5_000
SLACK_MS = 120_000
"""How much earlier than the span a topic is read: records are dated when they were published."""


class Span(NamedTuple):
    """What to send again: trades received in [start, end) (µs since 1970)."""

    exchange: str
    start: int
    end: int


async def sources(
    settings: KafkaSettings, catalog: Catalog, span: Span, origin: Origin
) -> list[AsyncIterator[Recorded]]:
    """The trades of each partition. Raises ConfigError for offsets that are in neither topic nor bronze."""
    async with Reader(settings) as reader:
        planned = [
            part for part in await plan(settings, reader, catalog, origin) if part.exchange == span.exchange
        ]
        topic, count = topics.raw(span.exchange), settings.raw_partitions(span.exchange)
        since = await reader.since(topic, count, span.start // 1000 - SLACK_MS)
    return [partition(settings, catalog, part, since[part.partition][0], span) for part in planned]


async def partition(
    settings: KafkaSettings, catalog: Catalog, part: SourceRange, since: int, span: Span
) -> AsyncIterator[Recorded]:
    """The trades of one partition, ascending by receive time; offset `since` is before the span."""
    exchange, ahead = exchanges.get(span.exchange), Ahead()
    async with Reader(settings, columnar=True) as reader:
        async for batch in _records(reader, catalog, part, since):
            for item in placed(exchange, batch, span.start, span.end):
                ahead.add(item)
            for trade in ahead.ready():
                yield trade
    for trade in ahead.ready(ended=True):
        yield trade


def _records(reader: Reader, catalog: Catalog, part: SourceRange, since: int) -> AsyncIterator[RecordBatch]:
    if part.begin < since:
        return reader.read(topics.raw(part.exchange), {part.partition: (since, part.end)})
    return batches(reader, Bronze(catalog), part, BATCH, logger.warning)


async def merged(ascending: Sequence[AsyncIterator[Recorded]]) -> AsyncIterator[Recorded]:
    """All trades, ascending, from sources that are ascending each."""
    async with AsyncExitStack() as entered:
        heads: list[tuple[int, int, Recorded]] = []
        for number, source in enumerate(ascending):
            await entered.enter_async_context(aclosing(source))  # type: ignore[type-var]
            if (first := await anext(source, None)) is not None:
                heads.append((first.received, number, first))
        heapq.heapify(heads)
        while heads:
            _, number, trade = heads[0]
            yield trade
            if (following := await anext(ascending[number], None)) is not None:
                heapq.heapreplace(heads, (following.received, number, following))
            else:
                heapq.heappop(heads)
