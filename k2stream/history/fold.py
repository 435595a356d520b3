"""Folds stored candles into any timeframe, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import groupby

from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle
from k2stream.model.trade import SCALE

_UNIT = Decimal(1).scaleb(-SCALE)
_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""More digits than a sum of 18-digit numbers has, and enough to round its last digit correctly."""


def fold(candles: Iterable[Candle], timeframe: Timeframe, now: int, settled: int) -> list[Candle]:
    """Fold ascending candles of the base timeframe into the windows of `timeframe`.

    A window is final when all its parts are and it ended `settled` ms before `now` (ms), because a quiet
    market may still lack a part. Its revision is the number of its records, plus one when final. Filled parts
    (without trades) count only in a window without any other parts.
    """
    return [
        _whole(list(parts), timeframe, opened, now - settled)
        for opened, parts in groupby(candles, key=lambda candle: timeframe.opening(candle.open_time))
    ]


def _whole(parts: Sequence[Candle], timeframe: Timeframe, opened: int, closed_until: int) -> Candle:
    traded = [part for part in parts if part.trade_count] or parts[:1]
    first, last = traded[0], traded[-1]
    end = timeframe.closing(opened)
    final = end <= closed_until and all(part.final for part in parts)
    volume, quote_volume = exact_sum(traded, "volume"), exact_sum(traded, "quote_volume")
    newest = max(traded, key=lambda part: part.raw_offset)
    return first._replace(
        timeframe=timeframe.name,
        open_time=opened,
        close_time=end - 1,
        high=max(part.high for part in traded),
        low=min(part.low for part in traded),
        close=last.close,
        volume=volume,
        quote_volume=quote_volume,
        taker_buy_volume=exact_sum(traded, "taker_buy_volume"),
        taker_buy_quote_volume=exact_sum(traded, "taker_buy_quote_volume"),
        vwap=weighted(quote_volume, volume, first.vwap),
        trade_count=sum(part.trade_count for part in traded),
        first_trade_time=min(part.first_trade_time for part in traded),
        last_trade_time=max(part.last_trade_time for part in traded),
        revision=sum(part.revision - part.final for part in traded) + final,
        final=final,
        raw_partition=newest.raw_partition,
        raw_offset=newest.raw_offset,
    )


def exact_sum(parts: Iterable[Candle], name: str) -> Decimal:
    """The sum of a field, with all digits."""
    total = Decimal(0)
    for part in parts:
        total = _EXACT.add(total, getattr(part, name))
    return total


def weighted(quote_volume: Decimal, volume: Decimal, otherwise: Decimal) -> Decimal:
    """The mean price of a volume, rounded half-even at the 18th digit; `otherwise` without any volume."""
    return _EXACT.divide(quote_volume, volume).quantize(_UNIT, context=_EXACT) if volume else otherwise
