"""A backfill: a span's trades from REST into the raw topic, and from there on the platform's usual way.

What a worker's tables still have of the span they revise themselves; what they have forgotten is recomputed
here, from all trades that the platform holds of it.
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
from k2stream.backfill.held import exchange_ahead, last_received
from k2stream.backfill.known import Known
from k2stream.backfill.output import Output
from k2stream.backfill.recompute import recompute
from k2stream.backfill.resume import BackfillNote, BackfillProgress
from k2stream.backfill.span import TradeSpan, chunks
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
"""For the workers to take in what was published."""


RECENT_US = 600 * 1_000_000
"""Of so recent a time trades may be on their way through the feed."""

WAITS, WAIT_SECONDS = 20, 0.5
"""For a trade that the feed received later: then those before are durable. A quiet or dead feed has none."""


class Result(NamedTuple):
    """Trades that the exchange told, those of them that were published, and the candles recomputed."""

    told: int
    published: int
    candles: int


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a run says on its way: a step in words, and how far the fetching is (0 to 1, trades told)."""

    step: Callable[[str], None]
    progress: Callable[[float, int], None]


class OwnPublisher:
    """A feed's publisher through a producer of its own."""

    def __init__(self, producer: DurableProducer) -> None:
        self._producer = producer

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Return when the records are durable, each partition's in order."""
        sent = [
            await self._producer.send(topic, value, key, partition)
            for (topic, partition), column in columns.items()
            for key, value in zip(column.keys, column.values, strict=True)
        ]
        for future in sent:
            await future


async def run(settings: Settings, instrument: Instrument, span: TradeSpan, report: BackfillReport) -> Result:
    """Fetch, publish, wait for the workers, recompute.

    A run that was broken off is taken up where it was. Raises ConfigError when the exchange has no REST
    interface here or refuses, or when no worker takes the trades.
    """
    note = BackfillNote(settings.local.data_path, instrument, span)
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    span = await settled(settings, exchanges.get(instrument.exchange), span, report)
    async with _publisher(settings.kafka) as publisher:
        progress = note.read()
        if progress.cursor is not None:
            report.step(f"going on after {progress.told:,} trades: an earlier run was broken off")
        if not progress.complete:
            output = Output(instrument.exchange, publisher, settings.kafka)
            progress = await _fetch(settings, instrument, span, output, note, progress, report)
            await output.event(_event(settings.feeds, instrument, span, progress.published))
            note.write(msgspec.structs.replace(progress, complete=True))
        report.step(f"{progress.published:,} trades published; waiting for the workers to take them in")
        await _taken(settings)
        report.step("recomputing the candles that the tables no longer have")
        candles = await recompute(settings, instrument, span, publisher)
    note.remove()
    return Result(progress.told, progress.published, candles)


@asynccontextmanager
async def _publisher(settings: KafkaSettings) -> AsyncIterator[OwnPublisher]:
    async with producing(settings) as producer:
        yield OwnPublisher(producer)


async def _fetch(
    settings: Settings,
    instrument: Instrument,
    span: TradeSpan,
    output: Output,
    note: BackfillNote,
    progress: BackfillProgress,
    report: BackfillReport,
) -> BackfillProgress:
    """Publish what the exchange tells, chunk by chunk, each noted once it is durable."""
    async with client_of(settings.feeds, exchanges.get(instrument.exchange)) as client:
        # Ids are told apart by the normaliser; without ids what is held is not published again.
        held = None if client.history.by_id else Known(settings, instrument, span)
        turns = Turns(instrument.exchange, output, settings)
        if held:
            await held.times()  # most of it; what comes in the meantime is compared in each turn
        try:
            async for chunk in chunks(
                client, instrument.symbol, client.history.numbering(instrument), span, progress.cursor
            ):
                trades = chunk.trades
                if held and trades:
                    published = await turns.publish(partial(_missing, instrument, held, trades))
                else:
                    published = len(trades)
                    await output.trades(trades)
                progress = BackfillProgress(
                    chunk.cursor, progress.told + len(trades), progress.published + published
                )
                note.write(progress)
                if chunk.trades:
                    reached = (chunk.trades[-1].time - span.start) / (span.end - span.start)
                    report.progress(reached, progress.told)
        except HistoryError as error:
            raise ConfigError(
                f"{instrument.exchange} refuses {instrument.symbol}: {error}; check its spelling in "
                f"{settings.feeds.instruments_file}"
            ) from None
    return progress


async def _missing(instrument: Instrument, held: Known, told: Sequence[Past]) -> Sequence[Past]:
    return absent(exchanges.get(instrument.exchange), told, await held.times())


async def settled(
    settings: Settings, exchange: Exchange, span: TradeSpan, report: BackfillReport
) -> TradeSpan:
    """The part of a span of which all trades that the feed will bring are durable.

    Raises ConfigError when there is none.
    """
    margin = settings.feeds.gap_fill_margin_us
    behind = max(-await exchange_ahead(exchange, settings.kafka), 0)
    end = min(span.end, clock.now_us() - margin - behind)
    if end <= span.start:
        raise ConfigError(
            f"--from {clock.spoken(span.start // 1000)} is less than {margin / 1e6:g} s ago: "
            "trades since then come with the feed, give an earlier time"
        )
    if end < span.end:
        report.step(f"up to {clock.spoken(end // 1000)}: later trades come with the feed")
    if end > clock.now_us() - RECENT_US:
        for _ in range(WAITS):
            if max((await last_received(exchange, settings.kafka)).values(), default=0) >= end + behind:
                break
            await asyncio.sleep(WAIT_SECONDS)
    return TradeSpan(span.start, end)


def _event(settings: FeedSettings, instrument: Instrument, span: TradeSpan, count: int) -> FeedEvent:
    return FeedEvent(
        kind=EventKind.BACKFILLED,
        exchange=instrument.exchange,
        time=clock.now_us(),
        symbol=instrument.symbol,
        detail=f"asked for {clock.spoken(span.start // 1000)} to {clock.spoken(span.end // 1000)}",
        count=count,
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
