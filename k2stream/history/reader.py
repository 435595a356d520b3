"""Reads candles by age: the tables' first, then ClickHouse's, then Iceberg's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple, Protocol

from k2stream.history.seams import CandleSpan, UnknownStretch, newest, rest
from k2stream.model import clock as clocks
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.settings import CandleSettings

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

    def latest(self, instrument: Instrument, timeframe: str) -> int | None:
        """The open time (ms) of its last candle of the instrument, as of now."""
        ...

    def candles(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> list[Candle]:
        """Candles of the span, each in its highest revision, in any order."""
        ...


class MissingTier(NamedTuple):
    """A tier that could not be asked, and why, in a line."""

    tier: str
    reason: str


class CandleAnswer(NamedTuple):
    """Candles, ascending, the tiers that could have had more, and the stretches that nobody answers for."""

    candles: list[Candle]
    missing: tuple[MissingTier, ...] = ()
    holes: tuple[UnknownStretch, ...] = ()


class CandleHistory:
    """The colder tiers behind the tables, warmest first. Safe to use from several threads.

    A tier has every window that ended `grace_ms` before its latest one opened: no trade makes another then.
    """

    def __init__(
        self, tiers: Sequence[Tier], clock: Callable[[], float] = time.monotonic, grace_ms: int = 0
    ) -> None:
        self._tiers = [(tier, Lock()) for tier in tiers]
        self._clock = clock
        self._grace_ms = grace_ms
        self._away: dict[str, tuple[float, MissingTier]] = {}
        self._oldest: dict[tuple[str, str, str], tuple[float, int | None]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="history")

    async def extended(
        self,
        instrument: Instrument,
        timeframe: str,
        span: CandleSpan,
        held: Sequence[Candle],
        since: int | None,
    ) -> CandleAnswer:
        """`read` that keeps the event loop free, and touches no tier when `held` answers the span."""
        if rest(span, len(held), since) is None:
            return CandleAnswer(list(held))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.read, instrument, timeframe, span, held, since)

    def read(
        self,
        instrument: Instrument,
        timeframe: str,
        span: CandleSpan,
        held: Sequence[Candle] = (),
        since: int | None = None,
    ) -> CandleAnswer:
        """The span's candles, each once in its highest revision. Blocks.

        `held` are those of the span that the caller has, `since` the oldest open time (ms) it has at all. A
        tier that fails is left out and named in the answer. The newest candles, asked for without a start or
        an end, come from the first tier that answers: it keeps all, only what is older than it is colder.
        A tier whose writer lags does not reach the warmer ones: it is named, and the stretch is a hole,
        unless a colder one reaches over it.
        """
        found = newest(held)
        missing: list[MissingTier] = []
        lagging: list[MissingTier] = []
        holes: list[UnknownStretch] = []
        for tier, lock in self._tiers:
            known = sum(since is None or candle.open_time >= since for candle in span.cut(found))
            wanted = rest(span, known, since)
            if wanted is None:
                break
            with lock:
                away = self._why_away(tier)
                if away is None:
                    try:
                        oldest = self._since(tier, instrument, timeframe)
                        if oldest is not None and (since is None or oldest < since):
                            latest = tier.latest(instrument, timeframe)  # before its candles, which go on
                            found = newest(tier.candles(instrument, timeframe, wanted), found)
                            hole = self._hole(latest, since)
                            if hole is None:
                                since, lagging, holes = oldest, [], []
                            else:
                                lagging += [] if missing else [_lagging(tier, hole)]
                                holes.append(hole)
                        if span.newest and not holes:
                            break
                        continue
                    except Exception as error:  # whatever its client raises: the other tiers still answer
                        away = self._note_away(tier, error)
            missing.append(away)
        return CandleAnswer(span.cut(found), (*missing, *lagging), tuple(holes))

    def _hole(self, latest: int | None, since: int | None) -> UnknownStretch | None:
        """What is unknown between a tier's candles up to `latest` and a warmer tier's from `since` on."""
        if since is None or (latest is not None and latest - self._grace_ms >= since):
            return None
        return UnknownStretch(-1 if latest is None else latest - self._grace_ms, since)

    def _why_away(self, tier: Tier) -> MissingTier | None:
        until, why = self._away.get(tier.name, (0.0, None))
        return why if self._clock() < until else None

    def _note_away(self, tier: Tier, error: Exception) -> MissingTier:
        why = MissingTier(tier.name, " ".join(str(error).split())[:200] or type(error).__name__)
        logger.warning("%s is unavailable, candles are answered without it: %s", *why)
        self._away[tier.name] = (self._clock() + AWAY_SECONDS, why)
        return why

    def _since(self, tier: Tier, instrument: Instrument, timeframe: str) -> int | None:
        key = (tier.name, instrument.key, timeframe)
        until, oldest = self._oldest.get(key, (0.0, None))
        if self._clock() >= until:
            oldest = tier.oldest(instrument, timeframe)
            self._oldest[key] = (self._clock() + OLDEST_SECONDS, oldest)
        return oldest


def _lagging(tier: Tier, hole: UnknownStretch) -> MissingTier:
    return MissingTier(
        tier.name,
        f"its writer lags: nothing is known between {clocks.spoken(max(hole.after, 0))} and "
        f"{clocks.spoken(hole.before)} UTC, ask again",
    )


def of(settings: CandleSettings, *tiers: Tier) -> CandleHistory:
    """The history in the tiers, warmest first."""
    return CandleHistory(tiers, grace_ms=settings.grace_ms)
