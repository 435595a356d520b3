"""Names and numbers as the mirrored API writes them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import reduce

from k2stream.model.decimals import plain
from k2stream.model.instrument import Instrument

DIGITS = 8
"""Fraction digits of every decimal, at least: a value that has more is sent with all of them."""

_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)


def name(instrument: Instrument) -> str:
    """The symbol as the API spells it: BTCUSDT."""
    return instrument.canonical.replace("/", "")


def fixed(value: Decimal, digits: int = DIGITS) -> str:
    """A decimal with at least `digits` fraction digits and no exponent."""
    whole, _, fraction = plain(value).partition(".")
    return f"{whole}.{fraction:0<{digits}}"


def rounded(value: Decimal, digits: int = DIGITS) -> str:
    """A decimal with exactly `digits` fraction digits, rounded half to even; zero has no sign."""
    return f"{_EXACT.plus(value.quantize(Decimal(1).scaleb(-digits), context=_EXACT)):f}"


def product(left: Decimal, right: Decimal) -> Decimal:
    """left × right, exact for numbers of 38 digits."""
    return _EXACT.multiply(left, right)


def difference(left: Decimal, right: Decimal) -> Decimal:
    """left - right, exact."""
    return _EXACT.subtract(left, right)


def total(values: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    return reduce(_EXACT.add, values, Decimal(0))


def ratio(left: Decimal, right: Decimal) -> Decimal:
    """left / right, and 0 where right is 0."""
    return _EXACT.divide(left, right) if right else Decimal(0)
