"""Tickers: the statistics of the last 24 hours, from candles."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.service.mirror.values import difference, fixed, name, product, ratio, rounded, total

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000

_UNKNOWN = "0.00000000"
"""What the API sends of an empty order book: K2 follows trades only."""


class Parts(NamedTuple):
    """The times (ms) of a rolling day: it begins with a full minute, and hours begin at `hours`."""

    start: int
    hours: int
    end: int


class RollingDay(NamedTuple):
    """A rolling day: `before` is the candle that precedes it, `candles` are ascending and have trades."""

    parts: Parts
    before: Candle | None
    candles: Sequence[Candle]


class Bounds(NamedTuple):
    """The ids of a day's first and last trade (-1: none), and the quantity of the last one."""

    first: int = -1
    last: int = -1
    quantity: Decimal = Decimal(0)


def parts(now: int) -> Parts:
    """The day until `now` (ms): minutes until the first full hour, then hours; up to a minute longer."""
    start = (now - DAY_MS) // MINUTE_MS * MINUTE_MS
    return Parts(start, -(-start // HOUR_MS) * HOUR_MS, now)


def price(instrument: Instrument, last: Candle) -> dict[str, str]:
    """The ticker of the last price."""
    return {"symbol": name(instrument), "price": fixed(last.close)}


def mini(instrument: Instrument, day: RollingDay, bounds: Bounds) -> dict[str, Any]:
    """The statistics with `type=MINI`."""
    return {"symbol": name(instrument), **_prices(day), **_times(day, bounds)}


def full(instrument: Instrument, day: RollingDay, bounds: Bounds) -> dict[str, Any]:
    """The statistics with `type=FULL`. The best bid and ask are unknown, and sent as of an empty book."""
    opened = _open(day)
    change = difference(_last(day), opened)
    volume, quote = _sum(day, "volume"), _sum(day, "quote_volume")
    prices = _prices(day)
    return {
        "symbol": name(instrument),
        "priceChange": fixed(change),
        "priceChangePercent": rounded(ratio(product(change, Decimal(100)), opened), 3),
        "weightedAvgPrice": rounded(ratio(quote, volume)),
        "prevClosePrice": fixed(day.before.close if day.before else Decimal(0)),
        "lastPrice": prices["lastPrice"],
        "lastQty": fixed(bounds.quantity),
        "bidPrice": _UNKNOWN,
        "bidQty": _UNKNOWN,
        "askPrice": _UNKNOWN,
        "askQty": _UNKNOWN,
        **{key: value for key, value in prices.items() if key != "lastPrice"},
        **_times(day, bounds),
    }


def event(instrument: Instrument, day: RollingDay, now: int) -> dict[str, Any]:
    """The payload of `@miniTicker` at `now` (ms)."""
    prices = _prices(day)
    return {
        "e": "24hrMiniTicker",
        "E": now,
        "s": name(instrument),
        "c": prices["lastPrice"],
        "o": prices["openPrice"],
        "h": prices["highPrice"],
        "l": prices["lowPrice"],
        "v": prices["volume"],
        "q": prices["quoteVolume"],
    }


def _prices(day: RollingDay) -> dict[str, str]:
    last = _last(day)
    return {
        "openPrice": fixed(_open(day)),
        "highPrice": fixed(max((each.high for each in day.candles), default=last)),
        "lowPrice": fixed(min((each.low for each in day.candles), default=last)),
        "lastPrice": fixed(last),
        "volume": fixed(_sum(day, "volume")),
        "quoteVolume": fixed(_sum(day, "quote_volume")),
    }


def _times(day: RollingDay, bounds: Bounds) -> dict[str, int]:
    return {
        "openTime": day.parts.start,
        "closeTime": day.parts.end,
        "firstId": bounds.first,
        "lastId": bounds.last,
        "count": sum(each.trade_count for each in day.candles),
    }


def _open(day: RollingDay) -> Decimal:
    return day.candles[0].open if day.candles else _last(day)


def _last(day: RollingDay) -> Decimal:
    last = day.candles[-1] if day.candles else day.before
    return last.close if last else Decimal(0)


def _sum(day: RollingDay, field: str) -> Decimal:
    return total(getattr(each, field) for each in day.candles)
