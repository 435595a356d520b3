"""Which stored candles to read for another timeframe, and which derived candles to return (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from k2stream.history.fold import fold
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle

MOST_PARTS = 100_000
"""The most stored candles that one answer may be folded from."""


def largest_limit(of: Timeframe) -> int:
    """The most candles of a timeframe that one answer may have."""
    return MOST_PARTS // of.parts - 1


def base_span(of: Timeframe, span: CandleSpan) -> CandleSpan:
    """The span of stored candles that the windows of `span` are made of, plus those of one more window."""
    if of.is_stored:
        return span
    start = None if span.start is None else next(of.opens(span.start, of.closing(span.start) + 1))
    end = None if span.end is None else of.closing(of.opening(span.end - 1))
    return CandleSpan((span.limit + 1) * of.parts, start, end)


def derived(of: Timeframe, span: CandleSpan, base: Sequence[Candle], now: int, settled: int) -> list[Candle]:
    """The windows of a span, folded from the candles of `base_span`; `now` and `settled` in ms, see `fold`.

    If the number of candles reached the limit, the window at the far end may be incomplete and is left out.
    """
    if of.is_stored:
        return list(base)
    found = fold(base, of, now, settled)
    if len(base) >= base_span(of, span).limit:
        found = found[1:] if span.start is None else found[:-1]
    return span.cut({candle.open_time: candle for candle in found})
