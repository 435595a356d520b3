"""Coinbase Exchange: trades of a product."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from k2stream.simulator.coinbase import iso
from k2stream.simulator.rest.answers import Answer, array
from k2stream.simulator.rest.past import Past

TOO_MANY = Answer('{"message":"Public rate limit exceeded"}', 429)
_UNKNOWN = Answer('{"message":"NotFound"}', 404)


def trades(past: Past, query: Mapping[str, str]) -> Answer:
    """The newest `limit` trades with ids below `after`, if given, newest first; `side` is the maker's."""
    product, after, limit = query["product"], query.get("after"), min(1000, int(query["limit"]))
    if product not in past:
        return _UNKNOWN
    below = int(after) if after else math.inf
    found = deque((trade for trade in past.trades(product) if trade.id < below), maxlen=limit)
    return array(
        f'{{"time":"{iso(order.time_us)}","trade_id":{number},"price":"{order.price}","size":"{quantity}",'
        f'"side":"{"sell" if order.taker_buy else "buy"}"}}'
        for number, quantity, order in reversed(found)
    )


ROUTES = {"/products/{product}/trades": trades}
