"""Reads candles by age: first from the tables, then from ClickHouse, then from Iceberg."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Generic, NamedTuple, Protocol

from k2stream.history.tiers import C, CandleSpan, UnknownRange, newest, rest
from k2stream.model import clock as clocks
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.settings import CandleSettings

logger = logging.getLogger(__name__)

THREADS = 4
AWAY_SECONDS = 5.0  # a tier that failed is not queried again for this long
OLDEST_SECONDS = 30.0  # how long it is cached where a tier begins


class Tier(Protocol[C]):
    """A store of candles. Its methods block, and raise whatever its client raises."""

    name: str

    def oldest(self, instrument: Instrument, timeframe: str) -> int | None:
        """The open time (ms) of the instrument's first candle; None without one."""
        ...

    def begun(self, instrument: Instrument, timeframe: str) -> int | None:
        """The open time (ms) from which on the tier has all candles; some older ones may be there, too."""
        ...

    def latest(self, instrument: Instrument, timeframe: str) -> int | None:
        """The open time (ms) of the instrument's last candle at present; None without one."""
        ...

    def candles(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> list[C]:
        """Candles of the span, each in its highest revision, in any order."""
        ...


class MissingTier(NamedTuple):
    """A tier that could not be queried, and the reason in one line."""

    tier: str
    reason: str


class HistoryAnswer(NamedTuple, Generic[C]):
    """Candles, ascending; the tiers that may have had more; the time ranges that no tier answers for."""

    candles: list[C]
    missing: tuple[MissingTier, ...] = ()
    holes: tuple[UnknownRange, ...] = ()


class _Begin(NamedTuple):
    """A tier's oldest open time (ms), and the one from which on it has all candles."""

    oldest: int
    whole: int


class History(Generic[C]):
    """The colder tiers behind the tables, warmest first. Safe to use from several threads.

    A tier is expected to have every window that ended `grace_ms` before its latest candle opened: by then, no
    trade can open another one.
    """

    def __init__(
        self, tiers: Sequence[Tier[C]], clock: Callable[[], float] = time.monotonic, grace_ms: int = 0
    ) -> None:
        self._tiers = [(tier, Lock()) for tier in tiers]
        self._clock = clock
        self._grace_ms = grace_ms
        self._away: dict[str, tuple[float, MissingTier]] = {}
        self._begins: dict[tuple[str, str, str], tuple[float, _Begin | None]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="history")

    async def extended(
        self,
        instrument: Instrument,
        timeframe: str,
        span: CandleSpan,
        given: Sequence[C],
        since: int | None,
    ) -> HistoryAnswer[C]:
        """As `read`, without blocking the event loop, and without a query when `given` answers the span."""
        if rest(span, len(given), since) is None:
            return HistoryAnswer(list(given))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.read, instrument, timeframe, span, given, since)

    def read(
        self,
        instrument: Instrument,
        timeframe: str,
        span: CandleSpan,
        given: Sequence[C] = (),
        since: int | None = None,
    ) -> HistoryAnswer[C]:
        """The span's candles, each once in its highest revision. Blocks.

        `given` has the caller's candles of the span, `since` is the oldest open time (ms) the caller has at
        all. A tier that fails is skipped and named in the answer. For a span without start and end, the first
        tier that answers is enough: it has all recent candles, colder ones only add older ones. If a tier's
        writer lags, so that its candles do not reach the warmer tier's, it is named, and the range between is
        reported as a hole unless a colder tier covers it.
        """
        found = newest(given)
        missing: list[MissingTier] = []
        lagging: list[MissingTier] = []
        holes: list[UnknownRange] = []
        for tier, lock in self._tiers:
            known = sum(since is None or candle.open_time >= since for candle in span.cut(found))
            wanted = rest(span, known, since)
            if wanted is None:
                break
            with lock:
                away = self._why_away(tier)
                if away is None:
                    try:
                        begin = self._begin(tier, instrument, timeframe)
                        if begin is not None and (since is None or begin.oldest < since):
                            latest = tier.latest(instrument, timeframe)  # first: more candles may arrive
                            found = newest(tier.candles(instrument, timeframe, wanted), found)
                            hole = self._hole(latest, since)
                            if hole is None:
                                since, lagging, holes = _earlier(since, begin.whole), [], []
                            else:
                                lagging += [] if missing else [_lagging(tier, hole)]
                                holes.append(hole)
                        if span.newest and not holes:
                            break
                        continue
                    except Exception as error:  # any error of its client: the other tiers still answer
                        away = self._note_away(tier, error)
            missing.append(away)
        return HistoryAnswer(span.cut(found), (*missing, *lagging), tuple(holes))

    def _hole(self, latest: int | None, since: int | None) -> UnknownRange | None:
        """The range between a tier's candles up to `latest` and a warmer tier's from `since` on, if any."""
        if since is None or (latest is not None and latest - self._grace_ms >= since):
            return None
        return UnknownRange(-1 if latest is None else latest - self._grace_ms, since)

    def _why_away(self, tier: Tier[C]) -> MissingTier | None:
        until, why = self._away.get(tier.name, (0.0, None))
        return why if self._clock() < until else None

    def _note_away(self, tier: Tier[C], error: Exception) -> MissingTier:
        why = MissingTier(tier.name, " ".join(str(error).split())[:200] or type(error).__name__)
        logger.warning("%s is unavailable, candles are answered without it: %s", *why)
        self._away[tier.name] = (self._clock() + AWAY_SECONDS, why)
        return why

    def _begin(self, tier: Tier[C], instrument: Instrument, timeframe: str) -> _Begin | None:
        key = (tier.name, instrument.key, timeframe)
        until, begin = self._begins.get(key, (0.0, None))
        if self._clock() >= until:
            begin, oldest = None, tier.oldest(instrument, timeframe)
            if oldest is not None:
                coldest = tier is self._tiers[-1][0]
                whole = None if coldest else tier.begun(instrument, timeframe)
                begin = _Begin(oldest, oldest if whole is None else max(whole, oldest))
            self._begins[key] = (self._clock() + OLDEST_SECONDS, begin)
        return begin


def _earlier(since: int | None, whole: int) -> int:
    return whole if since is None else min(since, whole)


def _lagging(tier: Tier[C], hole: UnknownRange) -> MissingTier:
    return MissingTier(
        tier.name,
        f"its writer lags: nothing is known between {clocks.format_utc(max(hole.after, 0))} and "
        f"{clocks.format_utc(hole.before)} UTC, ask again",
    )


def candle_history(settings: CandleSettings, *tiers: Tier[C]) -> History[C]:
    """The candle history over the given tiers, warmest first."""
    return History(tiers, grace_ms=settings.grace_ms)


CandleAnswer = HistoryAnswer[Candle]
CandleHistory = History[Candle]
