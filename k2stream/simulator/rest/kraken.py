"""Kraken: Trades. Its times have more digits than those of the socket, and are JSON numbers."""

from __future__ import annotations

from collections.abc import Mapping

from k2stream.simulator.rest.answers import Answer
from k2stream.simulator.rest.past import Past, Trade

TOO_MANY = Answer('{"error":["EAPI:Rate limit exceeded"]}')
_UNKNOWN = Answer('{"error":["EQuery:Unknown asset pair"]}')


def trades(past: Past, query: Mapping[str, str]) -> Answer:
    """At most `count` trades after `since`, ns, by time."""
    pair, since, count = query.get("pair", ""), int(query["since"]), min(1000, int(query.get("count", 1000)))
    if pair not in past:
        return _UNKNOWN
    rows = sorted((ns, trade) for trade in past.trades(pair) if (ns := _ns(trade)) > since)[:count]
    last = rows[-1][0] if rows else since
    return Answer(f'{{"error":[],"result":{{"{pair}":[{",".join(map(_row, rows))}],"last":"{last}"}}}}')


def _ns(trade: Trade) -> int:
    return trade.order.time_us * 1000 + trade.order.number % 10 * 100


def _row(timed: tuple[int, Trade]) -> str:
    ns, (number, quantity, order) = timed
    seconds = f"{ns // 10**9}.{ns % 10**9:09d}".rstrip("0").rstrip(".")
    side, kind = "b" if order.taker_buy else "s", "m" if order.number % 3 else "l"
    return f'["{order.price}","{quantity}",{seconds},"{side}","{kind}","",{number}]'


ROUTES = {"/0/public/Trades": trades}
