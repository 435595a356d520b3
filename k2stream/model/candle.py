"""Candles: the timeframes, and the value that every layer stores."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

TIMEFRAMES: dict[str, int] = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "1d": 86_400_000,
}
"""Length of each timeframe in ms. Windows are [open_time, open_time + length), aligned to 1970 UTC."""


class Candle(NamedTuple):
    """One revision of a candle; its fields are those of exchanges' klines.

    open_time and close_time are in ms (close_time = open_time + length - 1), trade times in µs. Decimals have
    18 fraction digits. Quote volumes are the exact sum of price × quantity, rounded half-even once at the end
    (the digits of no exchange need it); vwap = quote_volume / volume, rounded the same way.

    `revision` is the number of records folded in, plus one when final: it rises with every change, and a
    replay gives the same numbers. (raw_partition, raw_offset) is the last raw record applied.
    """

    exchange: str
    symbol: str
    canonical_symbol: str
    timeframe: str
    open_time: int
    close_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal
    vwap: Decimal
    trade_count: int
    first_trade_time: int
    last_trade_time: int
    revision: int
    final: bool
    raw_partition: int
    raw_offset: int
