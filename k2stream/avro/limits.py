"""Limits on sizes, times and decimals that every layer can store; records beyond them are unreadable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.model.clock import TIME_LIMIT
from k2stream.model.errors import Unreadable
from k2stream.model.trade import INTEGER_DIGITS, TRADE_DIGITS, Decimals
from k2stream.topics import MAX_BYTES

_DECIMAL = 10**38
_HIGH = _DECIMAL >> 64

_TOO_LARGE = f"key and value larger than {MAX_BYTES} bytes"

_NOT_SUMMED = f"a price or quantity that is not positive, or has more than {INTEGER_DIGITS} integer digits"
_SUM_TOO_LARGE = f"quantity, or price times quantity, has more than {TRADE_DIGITS} integer digits"
_LONGEST_EXCHANGE = 64
"""Bytes: Iceberg's folders are named after exchanges, each of up to 255 bytes with three for a quoted one."""

_NO_INT = "a number beyond 32 bits"

Ints = NDArray[np.int64]


def check_sizes(values: Sequence[bytes | None], keys: Sequence[bytes | None], longest_key: int) -> None:
    """Raise Unreadable for records that are too large to be produced again, for instance to the late topic.

    `longest_key` is the length of the longest key in bytes, which the caller knows without scanning all keys.
    """
    if longest(values) + longest_key > MAX_BYTES:
        pairs = enumerate(zip(keys, values, strict=True))
        bad = [row for row, pair in pairs if sum(len(part or b"") for part in pair) > MAX_BYTES]
        if bad:
            raise Unreadable(dict.fromkeys(bad, _TOO_LARGE))


def longest(values: Sequence[bytes | None]) -> int:
    """Return the length of the longest value in bytes."""
    try:
        return max(map(len, values), default=0)  # type: ignore[arg-type]
    except TypeError:  # at least one value is None
        return max(map(len, filter(None, values)), default=0)


def check_times(times: Sequence[Ints], unit: int = 1) -> None:
    """Raise Unreadable for rows with a time that not all layers can store; times count units of `unit` µs."""
    _check(times, 0, TIME_LIMIT // unit, "a time before 1970 or beyond 2286")


def check_exchanges(offsets: Ints) -> None:
    """Raise Unreadable for rows whose exchange is too long; its names are between `offsets`."""
    bad = np.flatnonzero(np.diff(offsets) > _LONGEST_EXCHANGE).tolist()
    if bad:
        raise Unreadable(dict.fromkeys(bad, f"an exchange's name of more than {_LONGEST_EXCHANGE} bytes"))


def check_fixed16(columns: Sequence[NDArray[np.uint8]]) -> None:
    """Raise Unreadable for rows beyond decimal(38); each column is (n, 16) big-endian bytes."""
    causes: dict[int, str] = {}
    for column in columns:
        high: Any = np.ascontiguousarray(column).view(">i8")[:, 0]
        for row in np.flatnonzero((high >= _HIGH) | (high < -_HIGH)).tolist():
            if abs(int.from_bytes(column[row].tobytes(), "big", signed=True)) >= _DECIMAL:
                causes[row] = "a number beyond decimal(38, 18)"
    if causes:
        raise Unreadable(causes)


def check_sums(price: Decimals, quantity: Decimals) -> None:
    """Raise Unreadable for rows that no candle can be made of; the normalizer publishes none."""
    if not len(price.mantissa):
        return
    most_price, most_quantity = (10 ** (INTEGER_DIGITS + values.scale) for values in (price, quantity))
    (lowest, highest), (least, largest) = _span(price.mantissa), _span(quantity.mantissa)
    summed = _summed(highest, largest, price.scale, quantity.scale)
    if summed and lowest > 0 and least > 0 and highest < most_price and largest < most_quantity:
        return
    causes = too_large(price, quantity)
    for values, most in ((price, most_price), (quantity, most_quantity)):
        bad = (row for row, value in enumerate(values.mantissa.tolist()) if not 0 < value < most)
        causes |= dict.fromkeys(bad, _NOT_SUMMED)
    if causes:
        raise Unreadable(causes)


def check_ints(columns: Sequence[Ints]) -> None:
    """Raise Unreadable for rows with a number that an Avro int cannot be; decoders take any varint."""
    _check(columns, -(1 << 31), 1 << 31, _NO_INT)


def _check(columns: Sequence[Ints], least: int, beyond: int, cause: str) -> None:
    spans = [_span(column) for column in columns if len(column)]
    if all(least <= low and high < beyond for low, high in spans):
        return
    bad: NDArray[np.bool_] = np.logical_or.reduce([(c < least) | (c >= beyond) for c in columns])
    raise Unreadable(dict.fromkeys(np.flatnonzero(bad).tolist(), cause))


def too_large(price: Decimals, quantity: Decimals) -> dict[int, str]:
    """Return the cause for each row that is too large for sums over many trades to fit decimal(38, 18)."""
    if not len(price.mantissa):
        return {}
    highest, largest = int(price.mantissa.max()), int(quantity.mantissa.max())
    if _summed(highest, largest, price.scale, quantity.scale):
        return {}
    pairs = zip(price.mantissa.tolist(), quantity.mantissa.tolist(), strict=True)
    return {
        row: _SUM_TOO_LARGE
        for row, (a, b) in enumerate(pairs)
        if not _summed(a, b, price.scale, quantity.scale)
    }


def _summed(price: int, quantity: int, price_scale: int, quantity_scale: int) -> bool:
    most_quantity: int = 10 ** (TRADE_DIGITS + quantity_scale)
    most: int = most_quantity * 10**price_scale
    return quantity < most_quantity and price * quantity < most


def _span(values: NDArray[Any]) -> tuple[int, int]:
    return int(values.min()), int(values.max())
