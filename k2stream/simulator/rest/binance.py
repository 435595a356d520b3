"""Binance spot: historicalTrades and aggTrades."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from k2stream.simulator.assets import STYLES, decimal
from k2stream.simulator.rest.answers import Answer, array
from k2stream.simulator.rest.past import Past

T = TypeVar("T")

TOO_MANY = Answer('{"code":-1003,"msg":"Too much request weight used; simulated."}', 429)
_UNKNOWN = Answer('{"code":-1121,"msg":"Invalid symbol."}', 400)
_TRADE = '{"id":%d,"price":"%s","qty":"%s","quoteQty":"%s","time":%d,"isBuyerMaker":%s,"isBestMatch":true}'
_AGG_TRADE = '{"a":%d,"p":"%s","q":"%s","f":%d,"l":%d,"T":%d,"m":%s,"M":true}'
_MAKER = {True: "false", False: "true"}


def historical_trades(past: Past, query: Mapping[str, str]) -> Answer:
    """`limit` trades from id `fromId` on, or the newest."""
    symbol, limit = query.get("symbol", ""), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = _asked(past.trades(symbol), query, limit, lambda trade: trade.id)
    return array(
        _TRADE
        % (
            *(number, order.price, quantity, f"{Decimal(order.price) * Decimal(quantity):f}"),
            *(order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for number, quantity, order in found
    )


def agg_trades(past: Past, query: Mapping[str, str]) -> Answer:
    """`limit` aggregated trades from id `fromId` on, or the newest."""
    symbol, limit = query.get("symbol", ""), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = _asked(past.orders(symbol), query, limit, lambda order: order.number)
    digits = STYLES["binance"].quantity_digits
    return array(
        _AGG_TRADE
        % (
            *(order.number, order.price, decimal(order.lots, order.lot_digits, digits)),
            *(order.first_id, order.last_id, order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for order in found
    )


def _asked(
    all_of_them: Iterable[T], query: Mapping[str, str], limit: int, number: Callable[[T], int]
) -> Iterable[T]:
    if "fromId" not in query:
        return deque(all_of_them, maxlen=limit)
    first = int(query["fromId"])
    return islice((item for item in all_of_them if number(item) >= first), limit)


ROUTES = {"/api/v3/historicalTrades": historical_trades, "/api/v3/aggTrades": agg_trades}
