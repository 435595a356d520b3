"""The oracle's rules for Coinbase."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from k2stream.reconcile.oracle.venues.venue import TIME_END, Found, Venue, is_symbol, texts

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{0,9})?(?:Z|\+00:00)")
_ID = re.compile(r"[0-9]{1,18}")
_COLUMNS = dict.fromkeys(("trade_id", "product_id", "price", "size", "side", "time", "type"), "String")
_CANONICAL = r"""
        product_id AS symbol,
        toUnixTimestamp64Second(parseDateTime64BestEffort(concat(substring(time, 1, 19), 'Z'), 0, 'UTC'))
            * 1000000
            + toInt64OrZero(substring(rightPad(extract(time, '\\.([0-9]*)'), 6, '0'), 1, 6)) AS ts,
        false AS aggregated, toInt64OrZero(trade_id) AS sequence, trade_id, trade_id AS id, 1 AS weight,
        if(side = 'SELL', 'BUY', 'SELL') AS taker, '' AS likeness, '' AS kind,
        map('type', type) AS vendor"""
_SPELLING = "replaceOne(symbol, '-', '/')"


def judge(fields: Mapping[str, Any]) -> Found:
    present = all(name in fields for name in ("trade_id", "price", "size"))
    storable = present and texts(fields, "product_id", "side", "time", "type")
    readable = (
        storable
        and type(fields["trade_id"]) is str
        and _ID.fullmatch(fields["trade_id"]) is not None
        and is_symbol(fields["product_id"])
        and fields["side"] in ("BUY", "SELL")
        and fields["type"] in ("snapshot", "update")
        and _TIME.fullmatch(fields["time"]) is not None
        and _is_day(fields["time"][:19])
    )
    return readable, storable, fields.get("price"), fields.get("size")


def _is_day(text: str) -> bool:
    try:
        return 0 <= datetime.fromisoformat(f"{text}+00:00").timestamp() < TIME_END // 10**6
    except ValueError:
        return False


VENUE = Venue(
    judge,
    _COLUMNS,
    _CANONICAL,
    _SPELLING,
    literals=frozenset({"trade_id", "price", "size"}),
)
