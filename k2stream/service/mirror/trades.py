"""Trades as the mirrored API sends them: single ones, and aggregated ones."""

from __future__ import annotations

from typing import Any

from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade, TradeQuery
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.mirror.values import fixed, name, product


def recent(sent: Parameters) -> TradeQuery:
    """The trades that `trades` asks for."""
    return TradeQuery(sent.limit())


def historical(sent: Parameters) -> TradeQuery:
    """The trades that `historicalTrades` asks for."""
    return TradeQuery(sent.limit(), sent.number("fromId"))


def aggregated(sent: Parameters) -> TradeQuery | None:
    """The trades that `aggTrades` asks for, both ends included; None if its end is before its start."""
    first, start, end = sent.number("fromId"), sent.time("startTime"), sent.time("endTime")
    if first is not None and (start is not None or end is not None):
        raise MirrorError(-1128, "Combination of optional parameters invalid.")
    if start is not None and end is not None and end < start:
        return None
    return TradeQuery(sent.limit(), first, start, None if end is None else end + 1)


def single(trade: NumberedTrade) -> dict[str, Any]:
    """One trade of `trades` and `historicalTrades`."""
    return {
        "id": trade.id,
        "price": fixed(trade.price),
        "qty": fixed(trade.quantity),
        "quoteQty": fixed(product(trade.price, trade.quantity)),
        "time": trade.time // 1000,
        "isBuyerMaker": not trade.taker_buy,
        "isBestMatch": True,
    }


def aggregate(trade: NumberedTrade) -> dict[str, Any]:
    """One trade of `aggTrades`: which trades one order made is unknown, so each is one of its own."""
    return {
        "a": trade.id,
        "p": fixed(trade.price),
        "q": fixed(trade.quantity),
        "f": trade.first,
        "l": trade.last,
        "T": trade.time // 1000,
        "m": not trade.taker_buy,
        "M": True,
    }


def trade_event(instrument: Instrument, trade: NumberedTrade, now: int) -> dict[str, Any]:
    """The payload of `@trade` at `now` (ms)."""
    return {
        "e": "trade",
        "E": now,
        "s": name(instrument),
        "t": trade.id,
        "p": fixed(trade.price),
        "q": fixed(trade.quantity),
        "T": trade.time // 1000,
        "m": not trade.taker_buy,
        "M": True,
    }


def aggregate_event(instrument: Instrument, trade: NumberedTrade, now: int) -> dict[str, Any]:
    """The payload of `@aggTrade` at `now` (ms)."""
    return {"e": "aggTrade", "E": now, "s": name(instrument), **aggregate(trade)}
