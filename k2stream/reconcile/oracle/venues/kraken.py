"""The oracle's rules for Kraken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from k2stream.reconcile.oracle.venues.venue import Found, Venue, is_symbol, texts

_TIME = re.compile(r"[0-9]{1,10}(?:\.[0-9]+)?")
_COLUMNS = dict.fromkeys(("pair", "price", "volume", "time", "side", "orderType", "misc"), "String")
_CANONICAL = """
        pair AS symbol,
        toInt64(splitByChar('.', time)[1]) * 1000000
            + toInt64OrZero(substring(rightPad(splitByChar('.', time)[2], 6, '0'), 1, 6)) AS ts,
        false AS aggregated, toInt64(0) AS sequence, '' AS trade_id, '' AS id, 1 AS weight,
        if(side = 'b', 'BUY', 'SELL') AS taker,
        concat(pair, '|', price, '|', volume, '|', side, '|', orderType) AS likeness, orderType AS kind,
        map('orderType', orderType, 'misc', misc) AS vendor"""
_SPELLING = """arrayStringConcat(arrayMap(x -> transform(x, ['XBT', 'XDG'], ['BTC', 'DOGE'], x),
        splitByChar('/', symbol)), '/')"""


def judge(fields: Mapping[str, Any]) -> Found:
    names = ("pair", "price", "volume", "time", "side", "orderType", "misc")
    storable = texts(fields, *names)
    readable = (
        storable
        and is_symbol(fields["pair"])
        and _TIME.fullmatch(fields["time"]) is not None
        and fields["side"] in ("b", "s")
    )
    return readable, storable, fields.get("price"), fields.get("volume")


VENUE = Venue(
    judge,
    _COLUMNS,
    _CANONICAL,
    _SPELLING,
)
