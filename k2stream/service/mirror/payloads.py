"""What streams send: trades as they come, klines and tickers when they have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from k2stream.history.timeframes import Timeframe
from k2stream.history.trades import TradePage
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror import klines, tickers, trades
from k2stream.service.mirror.endpoints import Call, read_day
from k2stream.service.mirror.names import StreamKind, StreamName
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.sources import Sources
from k2stream.web.query import Query

UPDATE_SECONDS = 1.0
"""How often klines and tickers are looked at: a trade is in its kline after at most this."""

POLL_SECONDS = 0.5
MOST_TRADES = 1000


class LiveTrades(Protocol):
    """Follows the trades of a symbol."""

    def follow(self, instrument: Instrument) -> AsyncIterator[Sequence[NumberedTrade]]:
        """What is traded from now on, without end."""
        ...


@dataclass(frozen=True, slots=True)
class PolledTrades:
    """Trades of a store, which is asked for what is new."""

    sources: Sources

    async def follow(self, instrument: Instrument) -> AsyncIterator[Sequence[NumberedTrade]]:
        """What the store has got since, in order of id."""
        of = self.sources.trades, instrument
        last = [each.id for each in await trades.read(*of, TradePage(1, recent=True))]
        while True:
            first = last[-1] + 1 if last else 0
            found = await trades.read(*of, TradePage(MOST_TRADES, from_id=first, recent=True))
            if found:
                last = [found[-1].id]
                yield found
            await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class StreamPayloads:
    """The payloads of any stream; `now` returns ms since 1970."""

    sources: Sources
    live: LiveTrades
    now: Callable[[], int]

    def of(self, stream: StreamName) -> AsyncIterator[dict[str, Any]]:
        """The payloads of a stream, without end."""
        if stream.timeframe is not None:
            return self._klines(stream.instrument, stream.timeframe)
        if stream.kind is StreamKind.MINI_TICKER:
            return self._mini_tickers(stream.instrument)
        return self._trades(stream)

    async def _trades(self, stream: StreamName) -> AsyncIterator[dict[str, Any]]:
        show = trades.trade_event if stream.kind is StreamKind.TRADE else trades.aggregate_event
        async for found in self.live.follow(stream.instrument):
            for each in found:
                yield show(stream.instrument, each, self.now())

    async def _klines(self, instrument: Instrument, of: Timeframe) -> AsyncIterator[dict[str, Any]]:
        sent: dict[int, tuple[int, bool]] = {}
        while True:
            found = await self.sources.candles.read(instrument, of, Query(2))
            candles = found.candles if of.is_stored else klines.whole(found)  # folded of what is missing
            for candle in changed(candles, sent):
                yield klines.event(instrument, candle, of.name, self.now())
            await asyncio.sleep(UPDATE_SECONDS)

    async def _mini_tickers(self, instrument: Instrument) -> AsyncIterator[dict[str, Any]]:
        before: dict[str, Any] = {}
        while True:
            call = Call(self.sources, instrument.exchange, Parameters((), ()), self.now())
            day = await read_day(call, instrument)
            event = tickers.event(instrument, day, 0)
            if event != before and (day.before or day.candles):
                before = event
                yield {**event, "E": self.now()}
            await asyncio.sleep(UPDATE_SECONDS)


def changed(found: Sequence[Candle], sent: dict[int, tuple[int, bool]]) -> list[Candle]:
    """The candles that are not as they were `sent`, by open time, which is brought up to date.

    Of the first look, only the newest is sent.
    """
    first = not sent
    known = {candle.open_time: (candle.revision, candle.final) for candle in found}
    new = [candle for candle in found if sent.get(candle.open_time) != known[candle.open_time]]
    sent.clear()
    sent |= known
    return new[-1:] if first else new
