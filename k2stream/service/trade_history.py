"""Pages of trades: recent ones from ClickHouse, older ones from Iceberg, a day at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from k2stream.history.reader import MissingTier
from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

DAY_US = 86_400_000_000
KEPT_DAYS = 29
"""For so long after its time, ClickHouse surely has a trade: its TTL is a day longer."""

_PLACE = ("timestamp", "sequence", "raw_offset")
_EPOCH = date(1970, 1, 1)


class RecentStore(Protocol):
    """The warm store."""

    name: str

    def page(self, instrument: Instrument, page: TradePage, since: int) -> pa.Table: ...

    def edges(self, instrument: Instrument) -> tuple[int, int] | None: ...


class Older(Protocol):
    """The cold store, by days; times in ms."""

    name: str

    def days(self, instrument: Instrument) -> list[date]: ...

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table: ...


class TradeAnswer(NamedTuple):
    """Trades with silver's columns, in the direction of the pages; `newest` is the newest time (µs)."""

    rows: pa.Table
    missing: tuple[MissingTier, ...] = ()
    newest: int | None = None


class TradePages(Protocol):
    """Reads pages of trades of any age."""

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """The trades of a page; a store that fails is named in the answer."""
        ...


class NoTradePages:
    """Where no store of trades is known."""

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """Raises RequestError 503."""
        raise RequestError(503, "no store of trades is known here")


class TradeHistory:
    """Both stores; `older` opens the cold one, `now` gives µs since 1970."""

    def __init__(
        self, recent: RecentStore, older: Callable[[], Older], now: Callable[[], int] = clock.now_us
    ) -> None:
        self._recent, self._older, self._now = recent, older, now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trades")

    async def read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        """The trades of a page; a store that fails is named in the answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, instrument, page)

    def _read(self, instrument: Instrument, page: TradePage) -> TradeAnswer:
        missing: list[MissingTier] = []
        rows, newest, since = SILVER.empty_table(), None, clock.TIME_LIMIT
        try:
            if (edges := self._recent.edges(instrument)) is not None:
                newest = edges[1]
                since = max(edges[0], self._now() - KEPT_DAYS * DAY_US)
                rows = self._recent.page(instrument, page, since)
        except Exception as error:  # any error of its client: Iceberg still answers
            missing.append(_away(self._recent.name, error))
        if page.from_id is not None:
            return TradeAnswer(rows, tuple(missing), newest)
        if page.leads_back and len(rows) >= page.limit:
            return TradeAnswer(rows, tuple(missing), newest)
        if page.first < since:
            try:
                old = self._old(instrument, page, since, page.limit - (len(rows) if page.leads_back else 0))
                both = [rows, old] if page.leads_back else [old, rows]
                rows = pa.concat_tables(both).slice(0, page.limit)
            except Exception as error:  # any error of its client: ClickHouse has answered
                missing.append(_away("Iceberg", error))
        return TradeAnswer(rows, tuple(missing), newest)

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


def ordered(rows: pa.Table, page: TradePage, start: int, end: int) -> pa.Table:
    """The rows of a page with start <= time < end (µs), in the direction of the pages."""
    time = rows["timestamp"].cast(pa.int64())
    rows = rows.filter(pc.and_(pc.greater_equal(time, start), pc.less(time, end)))
    direction = "descending" if page.leads_back else "ascending"
    rows = rows.sort_by([(name, direction) for name in _PLACE])
    if page.after is None:
        return rows
    places = zip(*(rows[name].cast(pa.int64()).to_pylist() for name in _PLACE), strict=True)
    beyond = [place < page.after if page.leads_back else place > page.after for place in places]
    return rows.filter(pa.array(beyond, pa.bool_()))


def _days(days: Sequence[date], start: int, end: int, *, back: bool) -> Iterator[tuple[int, int]]:
    for day in sorted(days, reverse=back):
        first = (day - _EPOCH).days * DAY_US
        if first < end and first + DAY_US > start:
            yield max(first, start), min(first + DAY_US, end)


def _away(name: str, error: Exception) -> MissingTier:
    why = MissingTier(name, " ".join(str(error).split())[:200] or type(error).__name__)
    logger.warning("%s is unavailable, trades are answered without it: %s", *why)
    return why
