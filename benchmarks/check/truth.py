"""The candles of a load, by plain integer arithmetic on its columns: no code of the platform takes part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import load

TIMEFRAMES_MS = {
    "1m": 60_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "1d": 86_400_000,
}  # fmt: skip
GRACE_MS = 5_000
_TICK, _LOT = Fraction(1, 10**load.PRICE_DIGITS), Fraction(1, 10**load.QUANTITY_DIGITS)
_SCALE = 10**18
_QUOTE_ASSET = "USDT"


class Window(NamedTuple):
    """A candle's place: the key `exchange:BASE/QUOTE`, the timeframe, the open time in ms."""

    key: str
    timeframe: str
    open_ms: int


Fields = Mapping[str, Any]
"""A candle by the names of schemas/avro/candle.avsc: amounts as Fraction, times as they are there."""


def key_of(symbol: str) -> str:
    """The key of a native symbol of the load."""
    return f"binance:{symbol.removesuffix(_QUOTE_ASSET)}/{_QUOTE_ASSET}"


@lru_cache(maxsize=8)
def candles(loaded: load.Load) -> Mapping[Window, Fields]:
    """Every candle of every timeframe."""
    trades = load.generate(loaded)
    return {
        window: fields
        for timeframe, length in TIMEFRAMES_MS.items()
        for window, fields in _of_timeframe(trades, timeframe, length)
    }


def _of_timeframe(trades: load.Trades, timeframe: str, length: int) -> Iterable[tuple[Window, Fields]]:
    opened = trades.time_ms // length * length
    order = np.lexsort((trades.id, trades.time_ms, opened, trades.symbol))
    rows, opened = trades.rows(order), opened[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(rows.symbol) != 0) | (np.diff(opened) != 0))))
    ends = np.append(starts[1:], len(opened)) - 1
    quote, bought = rows.price * rows.quantity, ~rows.buyer_is_maker

    def total(values: NDArray[np.int64]) -> list[int]:
        return [int(value) for value in np.add.reduceat(values, starts)]

    sums = [total(values) for values in (rows.quantity, quote, rows.quantity * bought, quote * bought)]
    highest, lowest = np.maximum.reduceat(rows.price, starts), np.minimum.reduceat(rows.price, starts)
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        symbol, open_ms = rows.names[int(rows.symbol[start])], int(opened[start])
        volume, quote_sum, taker, taker_quote = (column[number] for column in sums)
        yield Window(key_of(symbol), timeframe, open_ms), {
            "exchange": "binance",
            "symbol": symbol,
            "canonical_symbol": key_of(symbol).partition(":")[2],
            "close_time": open_ms + length - 1,
            "open": int(rows.price[start]) * _TICK,
            "high": int(highest[number]) * _TICK,
            "low": int(lowest[number]) * _TICK,
            "close": int(rows.price[end]) * _TICK,
            "volume": volume * _LOT,
            "quote_volume": quote_sum * _TICK * _LOT,
            "taker_buy_volume": taker * _LOT,
            "taker_buy_quote_volume": taker_quote * _TICK * _LOT,
            "vwap": Fraction(round(Fraction(quote_sum, volume) * _TICK * _SCALE), _SCALE),  # half-even
            "trade_count": end - start + 1,
            "first_trade_time": int(rows.time_ms[start]) * 1000,
            "last_trade_time": int(rows.time_ms[end]) * 1000,
        }  # fmt: skip


def ended(loaded: load.Load, *, by_slowest: bool = False, grace_ms: int = GRACE_MS) -> frozenset[Window]:
    """The windows that ended more than the grace before the newest trade.

    The newest of the window's own symbol; `by_slowest`: of the partition that is furthest behind.
    """
    trades = load.generate(loaded)
    if by_slowest:
        slowest = min(int(part.time_ms.max()) for _, part in load.by_partition(trades, loaded.partitions))
        newest = dict.fromkeys(map(key_of, trades.names), slowest)
    else:
        times = np.zeros(len(trades.names), np.int64)
        np.maximum.at(times, trades.symbol, trades.time_ms)
        newest = dict(zip(map(key_of, trades.names), times.tolist(), strict=True))
    return frozenset(
        window
        for window in candles(loaded)
        if window.open_ms + TIMEFRAMES_MS[window.timeframe] < newest[window.key] - grace_ms
    )
