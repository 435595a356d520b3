"""Reads candles by age: the tables' first, then ClickHouse's, then Iceberg's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple, Protocol

from k2stream.candle import Candle
from k2stream.history.clickhouse import HotTier
from k2stream.history.iceberg import ColdTier
from k2stream.history.seams import Span, newest, rest
from k2stream.instruments import Instrument
from k2stream.settings import Settings

logger = logging.getLogger(__name__)

THREADS = 4
AWAY_SECONDS = 5.0  # a tier that failed is not asked again for so long
OLDEST_SECONDS = 30.0  # how long it is believed where a tier begins


class Tier(Protocol):
    """A store of candles; its methods block and raise whatever its client raises."""

    name: str

    def oldest(self, instrument: Instrument, timeframe: str) -> int | None:
        """The open time (ms) of its first candle of the instrument."""
        ...

    def candles(self, instrument: Instrument, timeframe: str, span: Span) -> list[Candle]:
        """Candles of the span, each in its highest revision, in any order."""
        ...


class Missing(NamedTuple):
    """A tier that could not be asked, and why, in a line."""

    tier: str
    reason: str


class Answer(NamedTuple):
    """Candles, ascending, and the tiers that could have had more."""

    candles: list[Candle]
    missing: tuple[Missing, ...] = ()


class History:
    """The colder tiers behind the tables, warmest first. Safe to use from several threads."""

    def __init__(self, tiers: Sequence[Tier], clock: Callable[[], float] = time.monotonic) -> None:
        self._tiers = [(tier, Lock()) for tier in tiers]
        self._clock = clock
        self._away: dict[str, tuple[float, Missing]] = {}
        self._oldest: dict[tuple[str, str, str], tuple[float, int | None]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="history")

    async def extended(
        self, instrument: Instrument, timeframe: str, span: Span, held: Sequence[Candle], since: int | None
    ) -> Answer:
        """`read` that keeps the event loop free, and touches no tier when `held` answers the span."""
        if rest(span, len(held), since) is None:
            return Answer(list(held))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.read, instrument, timeframe, span, held, since)

    def read(
        self,
        instrument: Instrument,
        timeframe: str,
        span: Span,
        held: Sequence[Candle] = (),
        since: int | None = None,
    ) -> Answer:
        """The span's candles, each once in its highest revision. Blocks.

        `held` are those of the span that the caller has, `since` the oldest open time (ms) it has at all. A
        tier that fails is left out and named in the answer. The newest candles, asked for without a start or
        an end, come from the first tier that answers: it keeps all, only what is older than it is colder.
        """
        found = newest(held)
        missing = []
        for tier, lock in self._tiers:
            wanted = rest(span, len(span.cut(found)), since)
            if wanted is None:
                break
            with lock:
                away = self._why_away(tier)
                if away is None:
                    try:
                        oldest = self._since(tier, instrument, timeframe)
                        if oldest is not None and (since is None or oldest < since):
                            found = newest(tier.candles(instrument, timeframe, wanted), found)
                            since = oldest
                        if span.newest:
                            break
                        continue
                    except Exception as error:  # whatever its client raises: the other tiers still answer
                        away = self._note_away(tier, error)
            missing.append(away)
        return Answer(span.cut(found), tuple(missing))

    def _why_away(self, tier: Tier) -> Missing | None:
        until, why = self._away.get(tier.name, (0.0, None))
        return why if self._clock() < until else None

    def _note_away(self, tier: Tier, error: Exception) -> Missing:
        why = Missing(tier.name, " ".join(str(error).split())[:200] or type(error).__name__)
        logger.warning("%s is away, candles are answered without it: %s", *why)
        self._away[tier.name] = (self._clock() + AWAY_SECONDS, why)
        return why

    def _since(self, tier: Tier, instrument: Instrument, timeframe: str) -> int | None:
        key = (tier.name, instrument.key, timeframe)
        until, oldest = self._oldest.get(key, (0.0, None))
        if self._clock() >= until:
            oldest = tier.oldest(instrument, timeframe)
            self._oldest[key] = (self._clock() + OLDEST_SECONDS, oldest)
        return oldest


def of(settings: Settings) -> History:
    """The history in the settings' ClickHouse and Iceberg."""
    return History([HotTier(settings), ColdTier(settings)])
