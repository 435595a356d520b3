"""The state of one candle window in exact integers, its merge, and its conversion to a candle."""

from __future__ import annotations

from decimal import Context
from itertools import repeat
from typing import Any

import msgspec

from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.decimals import text_of
from k2stream.model.trade import SCALE

Order = tuple[int, int, int]
"""A trade's order inside its window: (timestamp in µs, sequence, raw_offset), see `place`."""

_EXACT = Context(prec=200)
_FIRST_DECIMAL, _COUNT = map(Candle._fields.index, ("open", "trade_count"))


class State(msgspec.Struct, frozen=True, gc=False):
    """The aggregate of a window's trades. Prices and volumes are at scale 18, quote sums at scale 36.

    `open_at` and `close_at` are the order keys of the first and the last trade. `receive_time` (µs) is the
    highest of all trades. `raw_offset` is that of the last raw record folded in: records at or below it are
    included.
    """

    open: int
    high: int
    low: int
    close: int
    open_at: Order
    close_at: Order
    volume: int
    quote: int
    taker_buy_volume: int
    taker_buy_quote: int
    trade_count: int
    records: int
    receive_time: int
    raw_partition: int
    raw_offset: int
    final: bool = False

    @property
    def revision(self) -> int:
        """Return the number of records folded in, plus one when final."""
        return self.records + self.final


def place(at: Order) -> tuple[int, int, int, int]:
    """Return the sort key of a trade: its time (truncated to ms if it has an id), then its id.

    An exchange may report a time in µs on one interface and in ms on another; the id then decides the order.
    """
    time, sequence, raw_offset = at
    return time // 1000 * 1000 if sequence > 0 else time, sequence, time, raw_offset


def merge(a: State, b: State) -> State:
    """Merge two states of a window; commutative and associative. The result is final if either is."""
    first = a if place(a.open_at) <= place(b.open_at) else b
    last = a if place(a.close_at) >= place(b.close_at) else b
    newest = a if a.raw_offset >= b.raw_offset else b
    # By position: 0.2 µs against 1.4 µs by keyword, in the loop that every batch of trades runs through.
    return State(
        first.open,
        a.high if a.high >= b.high else b.high,
        a.low if a.low <= b.low else b.low,
        last.close,
        first.open_at,
        last.close_at,
        a.volume + b.volume,
        a.quote + b.quote,
        a.taker_buy_volume + b.taker_buy_volume,
        a.taker_buy_quote + b.taker_buy_quote,
        a.trade_count + b.trade_count,
        a.records + b.records,
        a.receive_time if a.receive_time >= b.receive_time else b.receive_time,
        newest.raw_partition,
        newest.raw_offset,
        a.final or b.final,
    )


def closed(state: State) -> State:
    """Return the same state, marked as final."""
    return msgspec.structs.replace(state, final=True)


def to_row(state: State, key: str, native: str, timeframe: str, open_time: int) -> tuple[Any, ...]:
    """Return the fields of a window's candle, in order, with decimals as integers at scale 18.

    `key` is exchange:BASE/QUOTE, `native` the native symbol, `open_time` is in ms.
    """
    exchange, _, canonical = key.partition(":")
    return (
        exchange,
        native,
        canonical,
        timeframe,
        open_time,
        open_time + TIMEFRAMES[timeframe] - 1,
        state.open,
        state.high,
        state.low,
        state.close,
        state.volume,
        _divide(state.quote, 10**SCALE),
        state.taker_buy_volume,
        _divide(state.taker_buy_quote, 10**SCALE),
        _divide(state.quote, state.volume),
        state.trade_count,
        state.open_at[0],
        state.close_at[0],
        state.revision,
        state.final,
        state.raw_partition,
        state.raw_offset,
    )


def shown(state: State) -> tuple[str, str, str, str, str, str, str, str, str]:
    """Return the decimals of a window's candle in their order, as text without trailing zeros."""
    return (
        text_of(state.open),
        text_of(state.high),
        text_of(state.low),
        text_of(state.close),
        text_of(state.volume),
        text_of(_divide(state.quote, 10**SCALE)),
        text_of(state.taker_buy_volume),
        text_of(_divide(state.taker_buy_quote, 10**SCALE)),
        text_of(_divide(state.quote, state.volume)),
    )


def to_candle(state: State, key: str, native: str, timeframe: str, open_time: int) -> Candle:
    """Return a window's candle; the parameters are those of `to_row`."""
    row = to_row(state, key, native, timeframe, open_time)
    decimals = map(_EXACT.scaleb, row[_FIRST_DECIMAL:_COUNT], repeat(-SCALE))
    return Candle(*row[:_FIRST_DECIMAL], *decimals, *row[_COUNT:])


def _divide(numerator: int, denominator: int) -> int:
    """Divide non-negative integers, rounding half to even."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))
