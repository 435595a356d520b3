"""Reads the candles of a request from a partition's tables, and older ones from the colder tiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import to_candle
from k2stream.history.derive import base_span, derived
from k2stream.history.reader import CandleAnswer, CandleHistory, HistoryAnswer
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.web import render
from k2stream.web.health import FeedHealth
from k2stream.web.query import Query, RequestError


@dataclass(frozen=True, slots=True)
class CandleReader:
    """Reads candles of any timeframe.

    `settled` is how long (ms) after its end a window may still get its last stored candle; `now` returns the
    time in ms since 1970.
    """

    health: FeedHealth
    history: CandleHistory
    settled: int
    now: Callable[[], int]

    async def read(
        self, partition: CandlePartition, instrument: Instrument, timeframe: Timeframe, query: Query
    ) -> CandleAnswer:
        """Read the query's candles; RequestError 503 if `fill` needs feed events that are not read yet."""
        if timeframe.is_stored:
            return await self._stored(partition, instrument, timeframe.name, query)
        base = query.over(base_span(timeframe, query.span))
        found = await self._stored(partition, instrument, timeframe.base, base)
        candles = derived(timeframe, query.span, found.candles, self.now(), self.settled)
        return found._replace(candles=candles)

    async def _stored(
        self, partition: CandlePartition, instrument: Instrument, timeframe: str, query: Query
    ) -> CandleAnswer:
        stored = _in_tables(partition, instrument, timeframe, query)
        found: CandleAnswer = HistoryAnswer(stored)
        if query.source == "all":
            since = partition.windows.oldest(timeframe, instrument.key)
            found = await self.history.extended(instrument, timeframe, query.span, stored, since)
        if query.fill == "none":
            return found
        if not self.health.ready:
            raise RequestError(503, "the feed events, which fill needs, are being read, ask again")
        healthy = self.health.checker(instrument.exchange, instrument.symbol)
        return found._replace(candles=render.fill_previous(found.candles, query, healthy, found.holes))


def _in_tables(
    partition: CandlePartition, instrument: Instrument, timeframe: str, query: Query
) -> list[Candle]:
    key, native = instrument.key, instrument.symbol
    select = query.before(partition.reached(key) + 1).select
    return [
        to_candle(state, key, native, timeframe, open_time)
        for open_time, state in partition.states(timeframe, key, select)
    ]
