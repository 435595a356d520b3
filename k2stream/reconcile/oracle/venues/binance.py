"""The oracle's rules for Binance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k2stream.reconcile.oracle.venues.venue import TIME_END, Found, Venue, is_symbol, maybe, texts, whole

_COLUMNS = {
    **dict.fromkeys(("e", "s", "p", "q"), "String"),
    **dict.fromkeys(("E", "t", "a", "b", "f", "l"), "Nullable(Int64)"),
    "T": "Int64",
    "m": "Bool",
    "M": "Nullable(Bool)",
}
_CANONICAL = """
        s AS symbol, if(T < 10000000000000, T * 1000, T) AS ts, e = 'aggTrade' AS aggregated,
        ifNull(if(aggregated, a, t), 0) AS sequence, toString(sequence) AS trade_id,
        if(aggregated, concat(toString(ifNull(f, 0)), '..', toString(ifNull(l, 0))), trade_id) AS id,
        if(aggregated, ifNull(l, 0) - ifNull(f, 0) + 1, 1) AS weight,
        if(m, 'SELL', 'BUY') AS taker, '' AS likeness, '' AS kind,
        map('E', toString(ifNull(E, 0)), 'a', if(aggregated, '', ifNull(toString(a), '')),
            'b', if(aggregated, '', ifNull(toString(b), '')),
            'f', if(aggregated, ifNull(toString(f), ''), ''),
            'l', if(aggregated, ifNull(toString(l), ''), '')) AS vendor"""
_SPELLING = r"""replaceRegexpOne(symbol, concat('^(.+?)(FDUSD|USD[TC1PS]|TUSD|BUSD|AEUR|EURI|DOGE|IDRT',
        '|BIDR|BKRW|BVND|BTC|ETH|BNB|XRP|TRX|SOL|DOT|DAI|PAX|UST|EUR|GBP|AUD|JPY|TRY|BRL|RUB|UAH|NGN|ZAR|PLN|RON|ARS|MXN',
        '|COP|CZK|IDR)$'), '\\1/\\2')"""


def judge(fields: Mapping[str, Any]) -> Found:
    storable = (
        texts(fields, "e", "s", "p", "q")
        and whole(fields.get("T"), -(2**63))
        and type(fields.get("m")) is bool
        and maybe(fields, "E", "t", "a", "b", "f", "l")
        and (fields.get("M") is None or type(fields["M"]) is bool)
    )
    readable = (
        fields.get("e") in ("trade", "aggTrade")
        and is_symbol(fields.get("s"))
        and texts(fields, "p", "q")
        and whole(fields.get("T"), 0, TIME_END - 1)
        and type(fields.get("m")) is bool
        and whole(fields.get("E", 0))
    )
    if readable and fields["e"] == "aggTrade":
        ids = fields.get("a"), fields.get("f"), fields.get("l")
        readable = all(map(whole, ids)) and 0 <= fields["l"] - fields["f"] < 2**31 - 1
    elif readable:
        orders = all(fields.get(name) is None or type(fields[name]) is int for name in "ab")
        readable = whole(fields.get("t")) and orders
    return readable, storable, fields.get("p"), fields.get("q")


VENUE = Venue(
    judge,
    _COLUMNS,
    _CANONICAL,
    _SPELLING,
    renamed={"E": "event_time", "T": "trade_time", "M": "best_match"},
)
