"""Exact decimals by column: strings, scaled integers and Avro's fixed(16), never floats.

Every value is mantissa / 10**scale with at most 20 integer and 18 fraction digits (decimal(38, 18)).

Batches whose mantissas fit int64 at one scale are computed with numpy. All others give the same results with
Python ints.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.model.trade import INTEGER_DIGITS, SCALE, Decimals

NOT_A_NUMBER = "not a number"
TOO_MANY_INTEGER_DIGITS = f"more than {INTEGER_DIGITS} integer digits"
TOO_MANY_FRACTION_DIGITS = f"more than {SCALE} fraction digits"

_INT64_DIGITS = 18  # any number of up to 18 digits fits int64
_INT64_MAX = 2**63 - 1
_WIRE_SCALES = (8, 10, 12)  # tried in this order by from_fixed16
_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_EXACT = Context(prec=60)

_ONE = 10**SCALE
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def parse(strings: Sequence[str]) -> tuple[Decimals, dict[int, str]]:
    """Parse decimal strings; also returns the cause for each index that is not a decimal (its value is 0).

    Parsing is exact: ASCII digits with an optional sign, point and exponent ("7", "-1.50", ".5", "1e-8").
    Zeros that carry no value do not count towards the limits. Anything else is refused, e.g. "", " 1", "nan",
    "1_000", digits of other scripts, and values beyond decimal(38, 18).
    """
    if not strings:
        return Decimals(np.zeros(0, np.int64), 0), {}
    plain = _parse_plain(",".join(strings), len(strings))
    if plain is not None:
        return plain, {}
    bad: dict[int, str] = {}
    exact = [0] * len(strings)
    for index, text in enumerate(strings):
        value = _parse_one(text)
        if isinstance(value, str):
            bad[index] = value
        else:
            exact[index] = value
    return _compact(exact), bad


def _parse_plain(joined: str, count: int) -> Decimals | None:
    """Parse comma-joined unsigned numbers without exponents; None unless all fit int64 at one scale."""
    if not joined.isascii():
        return None
    text = np.frombuffer(joined.encode(), np.uint8)
    commas = np.flatnonzero(text == ord(","))
    dots = np.flatnonzero(text == ord("."))
    digits = np.count_nonzero((text >= ord("0")) & (text <= ord("9")))
    if len(commas) != count - 1 or digits + len(commas) + len(dots) != len(text):
        return None
    starts = np.concatenate(([0], commas + 1))
    ends = np.append(commas, len(text))
    rows = np.arange(count) if len(dots) == count else np.searchsorted(ends, dots)
    if (dots < starts[rows]).any() or (dots >= ends[rows]).any() or (rows[1:] == rows[:-1]).any():
        return None
    fraction = np.zeros(count, np.int64)
    fraction[rows] = ends[rows] - dots - 1
    digit_count = ends - starts
    digit_count[rows] -= 1
    scale = int(fraction.max())
    if digit_count.min() == 0 or int((digit_count - fraction).max()) + scale > _INT64_DIGITS:
        return None
    mantissa = np.fromstring(joined.replace(".", ""), np.int64, sep=",")
    shift = scale - fraction
    return Decimals(mantissa * (10**shift) if shift.any() else mantissa, scale)


def _parse_one(text: str) -> int | str:
    """The mantissa at scale 18, or the cause without one. Works on digits: no exponent can make it large."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return NOT_A_NUMBER
    sign, whole, fraction, only_fraction, exponent_text = match.groups(default="")
    fraction = fraction or only_fraction
    significant = (whole + fraction).lstrip("0")
    digits = significant.rstrip("0")
    if not digits:
        return 0
    exponent = _small_int(exponent_text) - len(fraction) + len(significant) - len(digits)
    if len(digits) + exponent > INTEGER_DIGITS:
        return TOO_MANY_INTEGER_DIGITS
    if exponent < -SCALE:
        return TOO_MANY_FRACTION_DIGITS
    mantissa: int = int(digits) * 10 ** (SCALE + exponent)
    return -mantissa if sign == "-" else mantissa


def _small_int(text: str) -> int:
    """An exponent, limited to ±10**12: no text has that many digits, so larger ones give the same result."""
    magnitude = text.lstrip("+-").lstrip("0")
    value = int(magnitude or "0") if len(magnitude) <= 12 else 10**12
    return -value if text.startswith("-") else value


def _compact(exact: list[int]) -> Decimals:
    """Convert mantissas at scale 18 to the smallest scale that is exact for all, and to int64 if they fit."""
    scale = SCALE
    for candidate in range(SCALE):
        step = 10 ** (SCALE - candidate)
        if all(value % step == 0 for value in exact):
            scale = candidate
            break
    reduced = of_ints([value // 10 ** (SCALE - scale) for value in exact], scale)
    return reduced if reduced.mantissa.dtype == np.int64 else of_ints(exact, SCALE)


def of_ints(mantissas: Sequence[int], scale: int) -> Decimals:
    """Decimals from Python ints at one scale: int64 if all fit, else objects."""
    if all(-_INT64_MAX <= value <= _INT64_MAX for value in mantissas):
        return Decimals(np.array(mantissas, np.int64), scale)
    return Decimals(np.array(mantissas, object), scale)


def take(values: Decimals, index: NDArray[np.int64]) -> Decimals:
    """The values at `index`, in the order of `index`."""
    return Decimals(values.mantissa[index], values.scale)


def to_ints(values: Decimals) -> list[int]:
    """The mantissas at scale 18, as Python ints."""
    factor = 10 ** (SCALE - values.scale)
    return [value * factor for value in values.mantissa.tolist()]


def to_decimal(mantissa: int) -> Decimal:
    """The Decimal for a mantissa at scale 18."""
    return Decimal(mantissa).scaleb(-SCALE, _EXACT)


def to_decimals(values: Decimals) -> list[Decimal]:
    """The values as `decimal.Decimal` with 18 fraction digits."""
    return list(map(to_decimal, to_ints(values)))


def text_of(mantissa: int) -> str:
    """The text (see `plain`) of a mantissa at scale 18."""
    if mantissa < 0:
        return f"-{text_of(-mantissa)}"
    whole, part = divmod(mantissa, _ONE)
    return f"{whole}.{part:0{SCALE}d}".rstrip("0") if part else str(whole)


def plain(value: Decimal) -> str:
    """A decimal without an exponent or trailing zeros after the point ("0.00000002", "83285")."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: Any) -> Any:
    """A Decimal as plain text; any other value unchanged."""
    return plain(value) if isinstance(value, Decimal) else value


def shortened(number: str) -> str:
    """A number's text without trailing zeros after the point."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def to_strings(values: Decimals) -> list[str]:
    """Each value as text, see `plain`."""
    return list(map(plain, to_decimals(values)))


def to_fixed16(values: Decimals) -> NDArray[np.uint8]:
    """(n, 16) bytes: big-endian two's complement at scale 18, as Avro's fixed(16) decimal.

    A reversed row is Arrow's decimal128 and ClickHouse's Decimal128.
    """
    if values.mantissa.dtype != np.int64:
        rows = b"".join(value.to_bytes(16, "big", signed=True) for value in to_ints(values))
        return np.frombuffer(rows, np.uint8).reshape(-1, 16)
    mantissa = values.mantissa
    negative = mantissa < 0
    high, low = _multiply(np.abs(mantissa).astype(np.uint64), 10 ** (SCALE - values.scale))
    if negative.any():
        low = np.where(negative, ~low + np.uint64(1), low)
        high = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    out = np.empty((len(mantissa), 2), ">u8")
    out[:, 0] = high
    out[:, 1] = low
    return out.view(np.uint8)


def from_fixed16(rows: NDArray[np.uint8]) -> Decimals:
    """Decimals from (n, 16) bytes as returned by `to_fixed16`.

    The result is int64 at scale 8, 10 or 12, the first that is exact for all values, else objects at scale
    18.
    """
    words = np.ascontiguousarray(rows).view(">u8")
    high, low = words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)
    negative = (high >> np.uint64(63)).astype(np.bool_)
    signed = bool(negative.any())
    if signed:
        low = np.where(negative, ~low + np.uint64(1), low)
        high = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    for scale in _WIRE_SCALES:
        quotient = _divide(high, low, SCALE - scale)
        if quotient is not None:
            return Decimals(np.where(negative, -quotient, quotient) if signed else quotient, scale)
    data = np.ascontiguousarray(rows).tobytes()
    exact = [int.from_bytes(data[at : at + 16], "big", signed=True) for at in range(0, len(data), 16)]
    return Decimals(np.array(exact, object), SCALE)


def _multiply(a: NDArray[np.uint64], b: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The 128-bit products a × b as (high, low) words; b < 2**64."""
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = np.uint64(b & 0xFFFFFFFF), np.uint64(b >> 32)
    bottom = a_low * b_low
    if not b_high:
        middle = a_high * b_low + (bottom >> _HALF)
        return middle >> _HALF, (bottom & _LOW) | (middle << _HALF)
    left, right = a_low * b_high, a_high * b_low
    middle = (bottom >> _HALF) + (left & _LOW) + (right & _LOW)
    high = a_high * b_high + (left >> _HALF) + (right >> _HALF) + (middle >> _HALF)
    return high, (bottom & _LOW) | (middle << _HALF)


def _divide(high: NDArray[np.uint64], low: NDArray[np.uint64], power: int) -> NDArray[np.int64] | None:
    """The 128-bit values / 10**power if every quotient is exact and fits int64, else None.

    10**power = 2**power × 5**power: shift, then multiply by the inverse of 5**power modulo 2**64 (exact
    division, Granlund and Montgomery 1994), and check by multiplying back.
    """
    shift, five = np.uint64(power), 5**power
    if (low & np.uint64((1 << power) - 1)).any():
        return None
    low = (low >> shift) | (high << (np.uint64(64) - shift))
    quotient = low * np.uint64(pow(five, -1, 2**64))
    if (quotient > np.uint64(_INT64_MAX)).any():
        return None
    back_high, back_low = _multiply(quotient, five)
    if (back_high != high >> shift).any() or (back_low != low).any():
        return None
    return quotient.astype(np.int64)


def sums(values: Decimals, starts: NDArray[np.int64]) -> list[int]:
    """Exact sums at scale 18 of the groups that begin at `starts` (ascending, as for np.add.reduceat)."""
    factor = 10 ** (SCALE - values.scale)
    return [total * factor for total in _sums(values.mantissa, starts)]


def sum_products(a: Decimals, b: Decimals, starts: NDArray[np.int64]) -> list[int]:
    """Exact sums at scale 36 of a × b over the groups that begin at `starts` (ascending)."""
    factor = 10 ** (2 * SCALE - a.scale - b.scale)
    if a.mantissa.dtype != np.int64 or b.mantissa.dtype != np.int64:
        products = a.mantissa.astype(object) * b.mantissa.astype(object)
        return [total * factor for total in _sums(products, starts)]
    # Halves of 32 bits, high signed and low unsigned: no partial product overflows its type.
    a_high, a_low = a.mantissa >> 32, a.mantissa & 0xFFFFFFFF
    b_high, b_low = b.mantissa >> 32, b.mantissa & 0xFFFFFFFF
    top = _sums(a_high * b_high, starts)
    left, right = _sums(a_high * b_low, starts), _sums(a_low * b_high, starts)
    bottom = _sums(a_low.astype(np.uint64) * b_low.astype(np.uint64), starts)
    return [
        ((t << 64) + ((x + y) << 32) + z) * factor
        for t, x, y, z in zip(top, left, right, bottom, strict=True)
    ]


def _sums(values: NDArray[Any], starts: NDArray[np.int64]) -> list[int]:
    """Exact group sums: in the values' type where no group can overflow it, else in two halves."""
    if len(values) == 0:
        return []
    largest = max(-int(values.min()), int(values.max()))
    if values.dtype == object or largest * len(values) <= _INT64_MAX:
        return list(np.add.reduceat(values, starts).tolist())
    half, low_bits = values.dtype.type(32), values.dtype.type(0xFFFFFFFF)
    high = np.add.reduceat(values >> half, starts).tolist()
    low = np.add.reduceat(values & low_bits, starts).tolist()
    return [(upper << 32) + lower for upper, lower in zip(high, low, strict=True)]
