"""Trades of any age: the newest from the topic, recent ones from ClickHouse, older ones from Iceberg."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple, Protocol

import pyarrow as pa

from k2stream.clickhouse.recent_trades import HeldTrades
from k2stream.history.reader import MissingTier
from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.service.stream.published import TopicTrades
from k2stream.service.trade_rows import count_since, joined, newest, ordered
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

DAY_US = 86_400_000_000
KEPT_DAYS = 29
"""For so long after its time, ClickHouse surely has a trade: its TTL is a day longer."""

TOPIC = "topic"
LAGGING = "its writer lags: trades that are newer than all of it may be missing here"
_EPOCH = date(1970, 1, 1)


class RecentStore(Protocol):
    """The warm store; see `clickhouse.recent_trades`."""

    name: str

    def page(self, instrument: Instrument, page: TradePage, since: int) -> pa.Table: ...

    def held(self, instrument: Instrument, partition: int) -> HeldTrades: ...


class Older(Protocol):
    """The cold store, by days; times in ms."""

    name: str

    def days(self, instrument: Instrument) -> list[date]: ...

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table: ...


class Published(Protocol):
    """The topic's newest trades; see `stream.published`."""

    def partition(self, instrument: Instrument) -> int: ...

    async def after(self, instrument: Instrument, offset: int) -> TopicTrades: ...


class TradeAnswer(NamedTuple):
    """Trades with silver's columns, in the direction of the pages; `newest` is the newest time (µs)."""

    rows: pa.Table
    missing: tuple[MissingTier, ...] = ()
    newest: int | None = None


class TradeReader(Protocol):
    """Reads pages of trades of any age."""

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """The trades of a page; a store that fails is named in the answer. Raises RequestError."""
        ...


class NoTrades:
    """Where no store of trades is known."""

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """Raises RequestError 503."""
        raise RequestError(503, "no store of trades is known here")


class _Warm(NamedTuple):
    """What the warm store has of a page: all trades since a time (µs), and up to an offset of the topic."""

    rows: pa.Table
    since: int = clock.TIME_LIMIT
    newest: int | None = None
    reached: int = -1
    missing: tuple[MissingTier, ...] = ()


class TradeHistory:
    """The topic and both stores; `older` opens the cold one, `now` gives µs since 1970."""

    def __init__(
        self,
        published: Published,
        recent: RecentStore,
        older: Callable[[], Older],
        now: Callable[[], int] = clock.now_us,
    ) -> None:
        self._published, self._recent, self._older, self._now = published, recent, older, now
        self._warm_thread, self._cold_thread = (
            ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("trades", "old-trades")
        )

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """The trades of a page; a store that fails is named in the answer."""
        run = asyncio.get_running_loop().run_in_executor
        # In this order: what the warm store gets meanwhile is in both, and what it has not got yet is after.
        warm = await run(self._warm_thread, self._warm, instrument, page)
        topic = await self._newest(instrument, warm)
        missing = (*warm.missing, *topic.missing)
        rows = await asyncio.to_thread(joined, page, warm.rows, topic.rows)
        wanted = page.limit - (count_since(rows, warm.since) if page.leads_back else 0)
        if wanted and page.first < warm.since and not (page.recent or page.by_number):
            try:
                old = await run(self._cold_thread, self._old, instrument, page, warm.since, wanted)
                rows = await asyncio.to_thread(joined, page, rows, old)
            except Exception as error:  # any error of its client: the others have answered
                missing += (_away("Iceberg", error),)
        times = [time for time in (warm.newest, topic.newest) if time is not None]
        return TradeAnswer(rows, missing, max(times, default=None))

    def _warm(self, instrument: Instrument, page: TradePage) -> _Warm:
        try:
            held = self._recent.held(instrument, self._published.partition(instrument))
            if held.oldest is None or held.newest is None:
                return _Warm(SILVER.empty_table(), reached=held.reached)
            oldest = max(held.oldest, self._now() - KEPT_DAYS * DAY_US)
            rows = SILVER.empty_table()
            for window in page.windows(oldest, held.newest):
                rows = self._recent.page(instrument, window, oldest)
                if len(rows) >= page.limit:
                    break
            return _Warm(rows, max(oldest, held.begun), held.newest, held.reached)
        except Exception as error:  # any error of its client: the others still answer
            return _Warm(SILVER.empty_table(), missing=(_away(self._recent.name, error),))

    async def _newest(self, instrument: Instrument, warm: _Warm) -> TradeAnswer:
        """What the topic has beyond the warm store."""
        try:
            found = await self._published.after(instrument, warm.reached)
        except Exception as error:  # any error of its client: the stores still answer
            return TradeAnswer(SILVER.empty_table(), (_away(TOPIC, error),))
        if found.whole or warm.missing:
            return TradeAnswer(found.rows, (), newest(found.rows))
        return TradeAnswer(found.rows, (MissingTier(self._recent.name, LAGGING),))

    def _old(self, instrument: Instrument, page: TradePage, until: int, wanted: int) -> pa.Table:
        """The first `wanted` trades before time `until` (µs), in the direction of the pages."""
        older, found, count = self._older(), [SILVER.empty_table()], 0
        first, last = page.first, min(page.last(until), until)
        for start, end in _days(older.days(instrument), first, last, back=page.leads_back):
            rows = ordered(older.rows(instrument, start // 1000, -(-end // 1000)), page, start, end)
            found.append(rows)
            count += len(rows)
            if count >= wanted:
                break
        return pa.concat_tables(found).slice(0, wanted)


def _days(days: Sequence[date], start: int, end: int, *, back: bool) -> Iterator[tuple[int, int]]:
    for day in sorted(days, reverse=back):
        first = (day - _EPOCH).days * DAY_US
        if first < end and first + DAY_US > start:
            yield max(first, start), min(first + DAY_US, end)


def _away(name: str, error: Exception) -> MissingTier:
    why = MissingTier(name, " ".join(str(error).split())[:200] or type(error).__name__)
    logger.warning("%s is unavailable, trades are answered without it: %s", *why)
    return why
