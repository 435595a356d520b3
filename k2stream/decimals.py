"""Exact decimals by column: strings, scaled integers and Avro's fixed(16), never floats.

Every value is mantissa / 10**scale with at most 20 integer and 18 fraction digits (decimal(38, 18)).
A batch whose mantissas fit int64 at one scale is handled by numpy; any other gives the same results
through Python ints.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.trade import INTEGER_DIGITS, SCALE, Decimals

NOT_A_NUMBER = "not a number"
TOO_MANY_INTEGER_DIGITS = f"more than {INTEGER_DIGITS} integer digits"
TOO_MANY_FRACTION_DIGITS = f"more than {SCALE} fraction digits"


def parse(strings: Sequence[str]) -> tuple[Decimals, dict[int, str]]:
    """Decimal strings to Decimals, and the cause for each index that is not a decimal (its value is 0).

    Read exactly: ASCII digits with an optional sign, point and exponent ("7", "-1.50", ".5", "1e-8").
    Zeros that carry no value do not count towards the limits. Refused: anything else, e.g. "", " 1",
    "nan", "1_000", digits of other scripts, and values beyond decimal(38, 18).
    """
    raise NotImplementedError


def of_ints(mantissas: Sequence[int], scale: int) -> Decimals:
    """Decimals of Python ints at one scale: int64 if all fit, else objects."""
    raise NotImplementedError


def to_ints(values: Decimals) -> list[int]:
    """Python ints at scale 18."""
    raise NotImplementedError


def to_decimals(values: Decimals) -> list[Decimal]:
    """`decimal.Decimal` values, with 18 fraction digits."""
    raise NotImplementedError


def to_strings(values: Decimals) -> list[str]:
    """Plain decimal strings: no exponent, no trailing zeros after the point ("0.00000002", "83285")."""
    raise NotImplementedError


def to_fixed16(values: Decimals) -> NDArray[np.uint8]:
    """(n, 16) bytes: big-endian two's complement at scale 18, as Avro's fixed(16) decimal.

    The reversed row is Arrow's decimal128 and ClickHouse's Decimal128.
    """
    raise NotImplementedError


def from_fixed16(rows: NDArray[np.uint8]) -> Decimals:
    """Decimals of (n, 16) bytes as `to_fixed16` gives: int64 at scale 8, 10 or 12 if exact, else objects at 18."""
    raise NotImplementedError


def sums(values: Decimals, starts: NDArray[np.int64]) -> list[int]:
    """Exact sums at scale 18 of the groups that begin at `starts` (rising, as for np.add.reduceat)."""
    raise NotImplementedError


def sum_products(a: Decimals, b: Decimals, starts: NDArray[np.int64]) -> list[int]:
    """Exact sums at scale 36 of a × b over the groups that begin at `starts` (rising)."""
    raise NotImplementedError
