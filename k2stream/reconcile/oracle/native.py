"""Judges raw records by the oracle's own implementation of the exchanges' formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from k2stream.reconcile.oracle import venues
from k2stream.reconcile.oracle.venues.venue import TIME_END, whole

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_LONGEST = 400_000  # bytes
_PLAIN = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,18})?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Judged(NamedTuple):
    """A raw record: whether it can be a trade, whether bronze can store it, and its numbers as plain text.

    A number is "" unless it is valid for a trade: positive, with at most 20 integer and 18 fraction digits.
    """

    readable: bool
    storable: bool
    price: str = ""
    quantity: str = ""


NOTHING = Judged(False, False)


def judge(exchange: str, value: bytes | None) -> Judged:
    """Judge a record of an exchange's raw topic."""
    try:
        fields = _JSON.decode(value or b"")
    except (ValueError, RecursionError):
        return NOTHING
    if not isinstance(fields, dict) or not _ingest(fields):
        return NOTHING
    readable, storable, price, quantity = venues.for_exchange(exchange).judge(fields)
    return Judged(readable and len(value or b"") <= _LONGEST, storable, plain(price), plain(quantity))


def plain(text: object) -> str:
    """The plain digits of a valid positive number, else ""."""
    if not isinstance(text, str):
        text = str(text) if type(text) in (Decimal, int) else ""
    if _PLAIN.fullmatch(text):
        return text if text.strip("0.") else ""
    if not _NUMBER.fullmatch(text):
        return ""
    sign, digits, exponent = Decimal(text).as_tuple()
    significant = "".join(map(str, digits)).lstrip("0")
    kept = significant.rstrip("0")
    if sign or not kept or not isinstance(exponent, int):
        return ""
    exponent += len(significant) - len(kept)
    if exponent < -18 or len(kept) + exponent > 20:
        return ""
    return format(Decimal(f"{kept}e{exponent}"), "f")


def _ingest(fields: Mapping[str, Any]) -> bool:
    return (
        whole(fields.get("k2_recv"), 0, TIME_END - 1)
        and type(fields.get("k2_conn")) is str
        and whole(fields.get("k2_seq"))
        and type(fields.get("k2_backfilled", False)) is bool
    )
