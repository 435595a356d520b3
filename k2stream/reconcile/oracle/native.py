"""What a raw record is worth, by the oracle's own reading of what each exchange sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_LONGEST = 400_000  # bytes
_LARGEST = 2**63 - 1
_TIME_END = 10**16  # µs: the year 2286
_PLAIN = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,18})?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_KRAKEN_TIME = re.compile(r"[0-9]{1,10}(?:\.[0-9]+)?")
_COINBASE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{0,9})?(?:Z|\+00:00)"
)
_COINBASE_ID = re.compile(r"[0-9]{1,18}")


class Judged(NamedTuple):
    """A raw record: whether it can be a trade, whether bronze can have it, and its numbers as plain text.

    A number is empty where it is none that a trade may have: positive, at most 20 integer and 18 fraction
    digits.
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
    readable, storable, price, quantity = _JUDGES[exchange](fields)
    return Judged(readable and len(value or b"") <= _LONGEST, storable, plain(price), plain(quantity))


def plain(text: object) -> str:
    """A positive number's plain digits, "" for anything else."""
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


def _whole(value: object, low: int = 0, high: int = _LARGEST) -> bool:
    return type(value) is int and low <= value <= high


def _maybe(fields: Mapping[str, Any], *names: str) -> bool:
    return all(fields.get(name) is None or _whole(fields[name], -(2**63)) for name in names)


def _texts(fields: Mapping[str, Any], *names: str) -> bool:
    return all(type(fields.get(name)) is str for name in names)


def _ingest(fields: Mapping[str, Any]) -> bool:
    return (
        _whole(fields.get("k2_recv"), 0, _TIME_END - 1)
        and type(fields.get("k2_conn")) is str
        and _whole(fields.get("k2_seq"))
        and type(fields.get("k2_backfilled", False)) is bool
    )


def _symbol(value: object) -> bool:
    return type(value) is str and 1 <= len(value) <= 64


_Found = tuple[bool, bool, object, object]


def _binance(fields: Mapping[str, Any]) -> _Found:
    storable = (
        _texts(fields, "e", "s", "p", "q")
        and _whole(fields.get("T"), -(2**63))
        and type(fields.get("m")) is bool
        and _maybe(fields, "E", "t", "a", "b", "f", "l")
        and (fields.get("M") is None or type(fields["M"]) is bool)
    )
    readable = (
        fields.get("e") in ("trade", "aggTrade")
        and _symbol(fields.get("s"))
        and _texts(fields, "p", "q")
        and _whole(fields.get("T"), 0, _TIME_END - 1)
        and type(fields.get("m")) is bool
        and _whole(fields.get("E", 0))
    )
    if readable and fields["e"] == "aggTrade":
        ids = fields.get("a"), fields.get("f"), fields.get("l")
        readable = all(map(_whole, ids)) and 0 <= fields["l"] - fields["f"] < 2**31 - 1
    elif readable:
        orders = all(fields.get(name) is None or type(fields[name]) is int for name in "ab")
        readable = _whole(fields.get("t")) and orders
    return readable, storable, fields.get("p"), fields.get("q")


def _kraken(fields: Mapping[str, Any]) -> _Found:
    names = ("pair", "price", "volume", "time", "side", "orderType", "misc")
    storable = _texts(fields, *names)
    readable = (
        storable
        and _symbol(fields["pair"])
        and _KRAKEN_TIME.fullmatch(fields["time"]) is not None
        and fields["side"] in ("b", "s")
    )
    return readable, storable, fields.get("price"), fields.get("volume")


def _coinbase(fields: Mapping[str, Any]) -> _Found:
    present = all(name in fields for name in ("trade_id", "price", "size"))
    storable = present and _texts(fields, "product_id", "side", "time", "type")
    readable = (
        storable
        and type(fields["trade_id"]) is str
        and _COINBASE_ID.fullmatch(fields["trade_id"]) is not None
        and _symbol(fields["product_id"])
        and fields["side"] in ("BUY", "SELL")
        and fields["type"] in ("snapshot", "update")
        and _COINBASE_TIME.fullmatch(fields["time"]) is not None
        and _is_day(fields["time"][:19])
    )
    return readable, storable, fields.get("price"), fields.get("size")


def _is_day(text: str) -> bool:
    try:
        return 0 <= datetime.fromisoformat(f"{text}+00:00").timestamp() < _TIME_END // 10**6
    except ValueError:
        return False


_JUDGES: Mapping[str, Callable[[Mapping[str, Any]], _Found]] = {
    "binance": _binance,
    "kraken": _kraken,
    "coinbase": _coinbase,
}
