"""The Tulip Exchange, as the oracle reads it: the rules of exchange.py, stated a second time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from k2stream.reconcile.oracle.venues.venue import Found, Venue, is_symbol, maybe, texts, whole

_CANONICAL = """
        market AS symbol, toInt64OrZero(at) AS ts, false AS aggregated, no AS sequence,
        toString(no) AS trade_id, trade_id AS id, 1 AS weight, if(maker = 'ask', 'BUY', 'SELL') AS taker,
        '' AS likeness, '' AS kind, map('lot', ifNull(toString(lot), '')) AS vendor"""


def judge(fields: Mapping[str, Any]) -> Found:
    """Whether it can be a trade, whether bronze can have it, its price and its quantity."""
    storable = (
        texts(fields, "market", "at", "rate", "amount", "maker")
        and whole(fields.get("no"), -(2**63))
        and maybe(fields, "lot")
    )
    readable = (
        storable
        and is_symbol(fields["market"])
        and re.fullmatch(r"[0-9]{16}", fields["at"]) is not None
        and fields["no"] >= 0
        and fields["maker"] in ("bid", "ask")
        and (fields.get("lot") is None or fields["lot"] >= 0)
    )
    return readable, storable, fields.get("rate"), fields.get("amount")


VENUE = Venue(
    judge,
    {
        **dict.fromkeys(("market", "at", "rate", "amount", "maker"), "String"),
        "no": "Int64",
        "lot": "Nullable(Int64)",
    },
    _CANONICAL,
    spelling="replaceOne(symbol, '_', '/')",
)
