"""How many fraction digits prices are shown with: text to text, no digit is cut off and no float is made."""

from __future__ import annotations

from collections.abc import Iterable

from k2stream.model.decimals import shortened


def fraction_digits(prices: Iterable[str]) -> int:
    """The most fraction digits of prices, without trailing zeros: all of a symbol are shown with as many."""
    return max((len(shortened(price).partition(".")[2]) for price in prices), default=0)


def padded(price: str, digits: int) -> str:
    """A price with so many fraction digits or, where it has more itself, with those."""
    whole, _, fraction = shortened(price).partition(".")
    return f"{whole}.{fraction:0<{digits}}" if digits or fraction else whole


def grouped(number: str) -> str:
    """A decimal's text with its whole part in groups of three: 1234567.80 becomes 1,234,567.80."""
    whole, point, fraction = number.partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole.isdigit() else number
