"""All symbols at a glance, from one look at the tables: at most once a second, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_DOWN, Context, Decimal
from typing import NamedTuple, Protocol

from k2stream.candles.state import State
from k2stream.history.fold import exact_sum
from k2stream.history.reader import CandleAnswer
from k2stream.history.timeframes import Timeframe, timeframe
from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.model.instrument import Instrument
from k2stream.model.precision import fraction_digits
from k2stream.web.health import FeedHealth
from k2stream.web.query import Query, RequestError

MINUTES, HOURS = 60, 24
"""The windows that are read: an hour of minutes, a day of hours."""

FRESH_SECONDS, HOURS_SECONDS = 1.0, 10.0
"""How long minutes and hours are used again."""

MINUTE_MS, HOUR_MS = 60_000, 3_600_000

_EXACT = Context(prec=60)
_CUT = Context(prec=60, rounding=ROUND_DOWN)
_BPS, _PERCENT = Decimal(1).scaleb(-4), Decimal(1).scaleb(-2)


class Candles(Protocol):
    """Reads candles of any symbol, timeframe and age."""

    def newest(self, instrument: Instrument, timeframe: str) -> tuple[int, State] | None:
        """Open time (ms) and state of the last candle of a stored timeframe, if this worker has any."""
        ...

    async def read(self, instrument: Instrument, of: Timeframe, query: Query) -> CandleAnswer:
        """The query's candles, ascending. Raises RequestError."""
        ...


class Seen(NamedTuple):
    """A symbol's minutes and hours, ascending; None if no worker could be asked. Times in ms."""

    instrument: Instrument
    minutes: Sequence[Candle]
    hours: Sequence[Candle]
    healthy: bool | None
    unavailable: str = ""

    @property
    def last(self) -> Candle | None:
        """The candle of the newest trade."""
        newest = [candles[-1] for candles in (self.minutes, self.hours) if candles]
        return max(newest, key=lambda candle: candle.last_trade_time, default=None)


class Overview:
    """The newest windows of all symbols; `clock` gives monotonic seconds, `now` ms since 1970."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        candles: Candles,
        health: FeedHealth,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._instruments, self._candles, self._health = instruments, candles, health
        self._clock, self._now = clock, now
        self._lock = asyncio.Lock()
        self._seen: tuple[float, list[Seen]] | None = None
        self._hours: dict[str, tuple[float, Sequence[Candle]]] = {}

    async def read(self) -> list[Seen]:
        """All symbols, in the order of the instruments."""
        async with self._lock:
            if self._seen is None or self._clock() >= self._seen[0] + FRESH_SECONDS:
                found = []
                for item in self._instruments:
                    found.append(await self._look(item))
                    await asyncio.sleep(0)  # a look takes long enough to let others pass
                self._seen = self._clock(), found
            return self._seen[1]

    async def _look(self, item: Instrument) -> Seen:
        now = self._now()
        healthy = self._health.checker(item.exchange, item.symbol)(now * 1000 - 1, now * 1000)
        try:
            minutes = await self._read(item, "1m", MINUTES, now - MINUTES * MINUTE_MS)
            until, hours = self._hours.get(item.key, (0.0, ()))
            if self._clock() >= until:
                hours = await self._read(item, "1h", HOURS, now - HOURS * HOUR_MS)
                self._hours[item.key] = self._clock() + HOURS_SECONDS, hours
        except RequestError as error:
            return Seen(item, (), (), healthy, str(error))
        return Seen(item, minutes, hours, healthy)

    async def _read(self, item: Instrument, name: str, limit: int, start: int) -> Sequence[Candle]:
        length = {"1m": MINUTE_MS, "1h": HOUR_MS}[name]
        query = Query(limit + 1, start // length * length + length, source="tables")
        return (await self._candles.read(item, timeframe(name), query)).candles


class Day(NamedTuple):
    """The last 24 hours of a symbol, by hours that have begun in them; `since` in ms, trade time in µs."""

    since: int
    first_trade_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


def day_of(seen: Seen) -> Day | None:
    """The last 24 hours; None without a trade."""
    if not seen.hours:
        return None
    hours = seen.hours
    return Day(
        hours[0].open_time,
        hours[0].first_trade_time,
        hours[0].open,
        max(candle.high for candle in hours),
        min(candle.low for candle in hours),
        exact_sum(hours, "volume"),
        exact_sum(hours, "quote_volume"),
        sum(candle.trade_count for candle in hours),
    )


def percent(change: Decimal, of: Decimal) -> str:
    """A change in percent with two digits, rounded half-even; what rounds to zero has no sign."""
    return f"{_EXACT.plus(_EXACT.divide(change * 100, of).quantize(_PERCENT, context=_EXACT)):f}"


def basis_points(spread: Decimal, lowest: Decimal) -> str:
    """A spread in basis points of the lower price, cut off at four digits, as in ClickHouse's views."""
    return plain(_CUT.divide(spread * 10_000, lowest).quantize(_BPS, context=_CUT))


def trades_per_second(minutes: Sequence[Candle], now: int) -> float:
    """The rate of the last one to two minutes, `now` in ms."""
    since = now // MINUTE_MS * MINUTE_MS - MINUTE_MS
    count = sum(candle.trade_count for candle in minutes if candle.open_time >= since)
    return round(count * 1000 / max(now - since, 1), 2)


def price_digits(candles: Iterable[Candle]) -> int:
    """The most fraction digits of the candles' prices: a page shows all prices of a symbol with as many."""
    prices = (price for each in candles for price in (each.open, each.high, each.low, each.close))
    return fraction_digits(map(plain, prices))
