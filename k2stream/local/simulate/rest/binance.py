"""Binance spot: historicalTrades and aggTrades."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice

from k2stream.local.simulate.assets import STYLES, decimal
from k2stream.local.simulate.rest.answers import Answer, array
from k2stream.local.simulate.rest.past import Past

TOO_MANY = Answer('{"code":-1003,"msg":"Too much request weight used; simulated."}', 429)
_UNKNOWN = Answer('{"code":-1121,"msg":"Invalid symbol."}', 400)
_TRADE = '{"id":%d,"price":"%s","qty":"%s","quoteQty":"%s","time":%d,"isBuyerMaker":%s,"isBestMatch":true}'
_AGG_TRADE = '{"a":%d,"p":"%s","q":"%s","f":%d,"l":%d,"T":%d,"m":%s,"M":true}'
_MAKER = {True: "false", False: "true"}


def historical_trades(past: Past, query: Mapping[str, str]) -> Answer:
    """`limit` trades from id `fromId` on."""
    symbol, first, limit = query.get("symbol", ""), int(query["fromId"]), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = (trade for trade in past.trades(symbol) if trade.id >= first)
    return array(
        _TRADE
        % (
            *(number, order.price, quantity, f"{Decimal(order.price) * Decimal(quantity):f}"),
            *(order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for number, quantity, order in islice(found, limit)
    )


def agg_trades(past: Past, query: Mapping[str, str]) -> Answer:
    """`limit` aggregated trades from id `fromId` on."""
    symbol, first, limit = query.get("symbol", ""), int(query["fromId"]), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = (order for order in past.orders(symbol) if order.number >= first)
    digits = STYLES["binance"].quantity_digits
    return array(
        _AGG_TRADE
        % (
            *(order.number, order.price, decimal(order.lots, order.lot_digits, digits)),
            *(order.first_id, order.last_id, order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for order in islice(found, limit)
    )


ROUTES = {"/api/v3/historicalTrades": historical_trades, "/api/v3/aggTrades": agg_trades}
