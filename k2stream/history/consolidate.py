"""Consolidates the candles of a canonical symbol on several exchanges into one per window, exactly (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from k2stream.history.fold import exact_sum, weighted
from k2stream.model.candle import Candle

CONSOLIDATED = "all"
"""In place of an exchange: all exchanges that trade the canonical symbol."""

NO_POSITION = -1
"""The raw partition and offset of a consolidated candle: it has no raw topic of its own."""


class Consolidated(NamedTuple):
    """One window: the candle of all exchanges, and the candles it consists of, by exchange."""

    candle: Candle
    parts: tuple[Candle, ...]


def consolidate(candles: Iterable[Candle], now: int, settled: int) -> list[Consolidated]:
    """One candle per open time, ascending, from candles of one canonical symbol and timeframe.

    Sums are exact; vwap weighs each exchange by its volume, rounded half-even at the 18th digit. The first
    and the last trade of any exchange give open and close; of equal times, the exchange that is first or last
    by name. It is final when all its parts are and it ended `settled` ms before `now` (ms), because another
    exchange may still get its part. Its revision is the sum of theirs.
    """
    ordered = sorted(candles, key=attrgetter("open_time", "exchange"))
    windows = groupby(ordered, key=attrgetter("open_time"))
    return [_whole(tuple(parts), now - settled) for _, parts in windows]


def _whole(parts: tuple[Candle, ...], closed_until: int) -> Consolidated:
    first = min(parts, key=attrgetter("first_trade_time", "exchange"))
    last = max(parts, key=attrgetter("last_trade_time", "exchange"))
    volume, quote_volume = exact_sum(parts, "volume"), exact_sum(parts, "quote_volume")
    candle = first._replace(
        exchange=CONSOLIDATED,
        symbol=first.canonical_symbol,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=last.close,
        volume=volume,
        quote_volume=quote_volume,
        taker_buy_volume=exact_sum(parts, "taker_buy_volume"),
        taker_buy_quote_volume=exact_sum(parts, "taker_buy_quote_volume"),
        vwap=weighted(quote_volume, volume, first.vwap),
        trade_count=sum(part.trade_count for part in parts),
        last_trade_time=last.last_trade_time,
        revision=sum(part.revision for part in parts),
        final=first.close_time < closed_until and all(part.final for part in parts),
        raw_partition=NO_POSITION,
        raw_offset=NO_POSITION,
    )
    return Consolidated(candle, parts)
