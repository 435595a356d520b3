"""Content hashes of trades: equal for equal price, quantity and side, however the decimals are written.

Times are hashed in ms, and compared with a tolerance of 1 ms: the same exchange reports µs over one interface
and ms over another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from k2stream.model import decimals
from k2stream.model.trade import SCALE, Decimals, TradeColumns

Hashes = NDArray[np.uint64]

_MASK = 2**64 - 1
_SHIFT = np.uint64(29)
# Odd multipliers of splitmix64 and similar functions: every bit of one word affects the next.
_FIRST, _SECOND, _THIRD = map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def numbers(price: Decimals, quantity: Decimals, taker_buy: NDArray[np.bool_]) -> Hashes:
    """Hashes of price, quantity and side."""
    return _mixed(_mixed(_scaled(price), _scaled(quantity), _FIRST), taker_buy.astype(np.uint64), _SECOND)


def parsed(columns: TradeColumns) -> Hashes:
    """Hashes of price, quantity and side of trades whose numbers are not parsed yet."""
    price, quantity = (decimals.parse(texts)[0] for texts in (columns.price, columns.quantity))
    return numbers(price, quantity, np.array(columns.taker_buy, np.bool_))


def timed(hashes: Hashes, time_us: NDArray[np.int64]) -> Hashes:
    """Combine hashes with the trade times, truncated to ms."""
    return _mixed(hashes, (time_us // 1000).astype(np.uint64), _THIRD)


def identity(first: NDArray[np.int64], last: NDArray[np.int64]) -> Hashes:
    """Hashes of the id ranges that aggregated trades cover."""
    return _mixed(first.astype(np.uint64), last.astype(np.uint64), _FIRST)


def _scaled(values: Decimals) -> Hashes:
    """Mantissas modulo 2**64, at the same scale in all batches."""
    factor = 10 ** (SCALE - values.scale)
    if values.mantissa.dtype == np.int64:
        return values.mantissa.astype(np.uint64) * np.uint64(factor)
    return np.array([int(value) * factor & _MASK for value in values.mantissa], np.uint64)


def _mixed(word: Hashes, other: Hashes, factor: np.uint64) -> Hashes:
    word = (word ^ (word >> _SHIFT)) * factor + other
    return (word ^ (word >> _SHIFT)) * _SECOND
