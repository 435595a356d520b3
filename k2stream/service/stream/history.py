"""The history of a candle subscription: pages from the look-up, joined with what the log knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

from k2stream.history.derive import largest_limit
from k2stream.history.reader import MissingTier
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.service.overview import Candles
from k2stream.service.stream.entries import StreamEntry
from k2stream.web.query import Query, RequestError

PAGE = 250
"""Candles that are looked up and sent at once."""

PATIENCE_SECONDS = 60.0
"""How long a worker that recovers its tables is waited for."""

LAGGING_SECONDS = 5.0
"""How long a colder tier whose writer lags is asked again; one that is away is not waited for."""

AGAIN_SECONDS = 0.5
MOST_AHEAD = 20


class PastAnswer(NamedTuple):
    """The look-up's answer to one question: at most `limit` candles, ascending."""

    candles: Sequence[Candle]
    limit: int
    missing: tuple[MissingTier, ...] = ()


class PastPage(NamedTuple):
    """Candles in order, whether they are the last, and the windows whose revision no offset covers."""

    candles: Sequence[Candle]
    last: bool
    ahead: frozenset[int]


@dataclass(frozen=True, slots=True)
class PastCandles:
    """Looks candles up, with patience."""

    candles: Candles

    async def read(self, instrument: Instrument, of: Timeframe, start: int) -> PastAnswer:
        """The first candles that open at `start` (ms) or later.

        Raises RequestError when no worker can answer for a long time.
        """
        limit = PAGE if of.is_stored else min(PAGE, largest_limit(of))
        begun = time.monotonic()
        while True:
            waited = time.monotonic() - begun
            try:
                found = await self.candles.read(instrument, of, Query(limit, start))
                if not found.holes or waited > LAGGING_SECONDS:
                    return PastAnswer(found.candles, limit, found.missing)
            except RequestError as error:
                if error.status < 500 or waited > PATIENCE_SECONDS:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)


def join(found: PastAnswer, after: int, held: Mapping[int, StreamEntry]) -> PastPage:
    """A page after a window: the look-up's candles, but of windows that the log holds the log's revision.

    The log's is durable and has an offset; the look-up's may be newer, and then comes later. Of a window that
    the log does not hold, the look-up's is older than the log, unless its records are being folded now: such
    windows are returned as `ahead`.
    """
    last = len(found.candles) < found.limit
    until = None if last else found.candles[-1].open_time
    reached = max((entry.value.raw_offset for entry in held.values()), default=-1)
    by_time = {candle.open_time: candle for candle in found.candles}
    by_time |= {
        window: entry.value
        for window, entry in held.items()
        if window > after and (until is None or window <= until)
    }
    unsure = (
        candle
        for candle in found.candles
        if candle.open_time not in held and (not candle.final or candle.raw_offset > reached)
    )
    newest = nlargest(MOST_AHEAD, unsure, key=lambda candle: candle.raw_offset)
    ahead = frozenset(candle.open_time for candle in newest)
    return PastPage([by_time[window] for window in sorted(by_time)], last, ahead)
