"""A backfill: publishes a span's trades from REST to the raw topic, where the workers pick them up.

Workers revise the candles that are still in their tables. Candles that have left the tables are recomputed
here, from all stored trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec

from k2stream import exchanges, topics
from k2stream.backfill.client import client_of
from k2stream.backfill.contents import absent
from k2stream.backfill.known import Known
from k2stream.backfill.output import Output
from k2stream.backfill.recompute import recompute
from k2stream.backfill.resume import BackfillFile, BackfillProgress
from k2stream.backfill.retained import exchange_ahead, last_received
from k2stream.backfill.span import TradeSpan, chunks, unread
from k2stream.backfill.turn import Turns
from k2stream.exchanges.rest.spec import HistoryError, Past
from k2stream.exchanges.spec import Exchange
from k2stream.feed import Columns
from k2stream.kafka.creation import ensure_topics
from k2stream.kafka.lag import LagReader
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.instrument import Instrument
from k2stream.model.roles import Role
from k2stream.settings import FeedSettings, KafkaSettings, Settings

WITHIN_SECONDS = 120.0
"""How long to wait for the workers to process what was published."""


RECENT_US = 600 * 1_000_000
"""Trades younger than this may still be on their way through the feed."""

WAITS, WAIT_SECONDS = 20, 0.5
"""How often and how long to wait for a later trade of the feed, which shows that earlier ones are durable.

A quiet or dead feed has none.
"""


class Result(NamedTuple):
    """Counts: trades that the exchange returned, trades published, and candles recomputed.

    `unreadable` is the number of rows that it returned and that cannot be read: these trades are missing.
    """

    fetched: int
    published: int
    candles: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """Callbacks for progress: a step in words, and the fetched fraction (0 to 1) with the trades so far."""

    step: Callable[[str], None]
    progress: Callable[[float, int], None]


class OwnPublisher:
    """Implements a feed's publisher with a separate producer."""

    def __init__(self, producer: DurableProducer) -> None:
        self._producer = producer

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Publish records in order per partition; returns when they are durable."""
        sent = [
            await self._producer.send(topic, value, key, partition)
            for (topic, partition), column in columns.items()
            for key, value in zip(column.keys, column.values, strict=True)
        ]
        for future in sent:
            await future


async def run(settings: Settings, instrument: Instrument, span: TradeSpan, report: BackfillReport) -> Result:
    """Fetch and publish a span's trades, wait for the workers, and recompute candles.

    An interrupted run is resumed. Raises ConfigError when the exchange has no REST interface here or refuses
    the request, or when no worker processes the trades.
    """
    file = BackfillFile(settings.local.data_path, instrument, span)
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    span = await settled(settings, exchanges.get(instrument.exchange), span, report)
    async with _publisher(settings.kafka) as publisher:
        progress = file.read()
        if progress.cursor is not None:
            report.step(f"resuming an interrupted run after {progress.fetched:,} trades")
        if not progress.complete:
            output = Output(instrument.exchange, publisher, settings.kafka)
            progress = await _fetch(settings, instrument, span, output, file, progress, report)
            await output.event(_event(settings.feeds, instrument, span, progress))
            file.write(msgspec.structs.replace(progress, complete=True))
        report.step(f"{progress.published:,} trades published; waiting for the workers to take them in")
        await _taken(settings)
        report.step("recomputing the candles that the tables no longer have")
        candles = await recompute(settings, instrument, span, publisher)
    file.remove()
    return Result(progress.fetched, progress.published, candles, progress.unreadable)


@asynccontextmanager
async def _publisher(settings: KafkaSettings) -> AsyncIterator[OwnPublisher]:
    async with producing(settings) as producer:
        yield OwnPublisher(producer)


async def _fetch(
    settings: Settings,
    instrument: Instrument,
    span: TradeSpan,
    output: Output,
    file: BackfillFile,
    progress: BackfillProgress,
    report: BackfillReport,
) -> BackfillProgress:
    """Fetch and publish chunk by chunk, and save the progress once a chunk is durable."""
    async with client_of(settings.feeds, exchanges.get(instrument.exchange)) as client:
        # The normalizer drops known ids; without ids, stored trades must not be published again.
        known = None if client.history.by_id else Known(settings, instrument, span)
        turns = Turns(instrument.exchange, output, settings)
        if known:
            await known.times()  # reads most of it now; each turn reads only what is new
        try:
            async for chunk in chunks(
                client, instrument.symbol, client.history.numbering(instrument), span, progress.cursor
            ):
                trades = chunk.trades
                if known and trades:
                    published = await turns.publish(partial(_missing, instrument, known, trades))
                else:
                    published = len(trades)
                    await output.trades(trades)
                await output.rejects(instrument.symbol, chunk.rejects)
                progress = BackfillProgress(
                    chunk.cursor,
                    progress.fetched + len(trades),
                    progress.published + published,
                    unreadable=progress.unreadable + len(chunk.rejects),
                )
                file.write(progress)
                if chunk.trades:
                    reached = (chunk.trades[-1].time - span.start) / (span.end - span.start)
                    report.progress(reached, progress.fetched)
        except HistoryError as error:
            raise ConfigError(
                f"{instrument.exchange} refuses {instrument.symbol}: {error}; check its spelling in "
                f"{settings.feeds.instruments_file}"
            ) from None
    return progress


async def _missing(instrument: Instrument, known: Known, fetched: Sequence[Past]) -> Sequence[Past]:
    return absent(exchanges.get(instrument.exchange), fetched, await known.times())


async def settled(
    settings: Settings, exchange: Exchange, span: TradeSpan, report: BackfillReport
) -> TradeSpan:
    """Return the part of a span for which every trade that the feed delivers is durable.

    Raises ConfigError when the whole span is too recent.
    """
    margin = settings.feeds.gap_fill_margin_us
    behind = max(-await exchange_ahead(exchange, settings.kafka), 0)
    end = min(span.end, clock.now_us() - margin - behind)
    if end <= span.start:
        raise ConfigError(
            f"--from {clock.format_utc(span.start // 1000)} is less than {margin / 1e6:g} s ago: "
            "trades since then come with the feed, give an earlier time"
        )
    if end < span.end:
        report.step(f"up to {clock.format_utc(end // 1000)}: later trades come with the feed")
    if end > clock.now_us() - RECENT_US:
        for _ in range(WAITS):
            if max((await last_received(exchange, settings.kafka)).values(), default=0) >= end + behind:
                break
            await asyncio.sleep(WAIT_SECONDS)
    return TradeSpan(span.start, end)


def _event(
    settings: FeedSettings, instrument: Instrument, span: TradeSpan, progress: BackfillProgress
) -> FeedEvent:
    asked = f"asked for {clock.format_utc(span.start // 1000)} to {clock.format_utc(span.end // 1000)}"
    return FeedEvent(
        kind=EventKind.BACKFILLED,
        exchange=instrument.exchange,
        time=clock.now_us(),
        symbol=instrument.symbol,
        detail="; ".join([asked, *unread(progress.unreadable)]),
        count=progress.published,
        since=span.start,
        simulated=settings.simulated,
    )


async def _taken(settings: Settings) -> None:
    async with LagReader(settings) as lags:
        for group in (Role.NORMALIZE.group, Role.CANDLES.group):
            if not await lags.passed(group, WITHIN_SECONDS):
                raise ConfigError(
                    f"the trades are in {topics.raw('…')}, but group {group} has not taken them in within "
                    f"{WITHIN_SECONDS:.0f} s: when its worker runs, give the same command again to finish"
                )
