"""Which stored candles to read for another timeframe, and which derived candles to return (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from k2stream.history.fold import fold
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle

MOST_PARTS = 100_000
"""The most stored candles that one answer may be folded from."""


def largest_limit(timeframe: Timeframe) -> int:
    """The most candles of a timeframe that one answer may have."""
    return MOST_PARTS // timeframe.parts - 1


def base_span(timeframe: Timeframe, span: CandleSpan) -> CandleSpan:
    """The span of stored candles that the windows of `span` are made of, plus those of one more window."""
    if timeframe.is_stored:
        return span
    start = (
        None if span.start is None else next(timeframe.opens(span.start, timeframe.closing(span.start) + 1))
    )
    end = None if span.end is None else timeframe.closing(timeframe.opening(span.end - 1))
    return CandleSpan((span.limit + 1) * timeframe.parts, start, end)


def derived(
    timeframe: Timeframe, span: CandleSpan, base: Sequence[Candle], now: int, settled: int
) -> list[Candle]:
    """The windows of a span, folded from the candles of `base_span`; `now` and `settled` in ms, see `fold`.

    If the number of candles reached the limit, the window at the far end may be incomplete and is left out.
    """
    if timeframe.is_stored:
        return list(base)
    found = fold(base, timeframe, now, settled)
    if len(base) >= base_span(timeframe, span).limit:
        found = found[1:] if span.start is None else found[:-1]
    return span.cut({candle.open_time: candle for candle in found})
