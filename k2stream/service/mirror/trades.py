"""Trades as the mirrored API sends them: single ones, and aggregated ones."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from k2stream.history.trades import TradePage
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.mirror.values import fixed, name, product
from k2stream.service.trades import TOPIC, TradeReader
from k2stream.web.query import RequestError

_MOST = 2**63 - 1


async def read(trades: TradeReader, instrument: Instrument, page: TradePage) -> list[NumberedTrade]:
    """The trades of a page, ascending by number. Raises RequestError 503 where some may be missing."""
    found = await trades.read(instrument, page)
    if away := next((tier for tier in found.missing if tier.tier != TOPIC), None):
        raise RequestError(503, f"{away.tier} does not have all trades, ask again")
    return sorted(numbered(found.rows))


def numbered(rows: pa.Table) -> list[NumberedTrade]:
    """The trades of rows with silver's columns; an aggregated one names the first and last trade in it."""
    names = ("sequence", "raw_offset", "vendor_data", "price", "quantity", "side")
    columns = [rows["timestamp"].cast(pa.int64()).to_pylist(), *(rows[name].to_pylist() for name in names)]
    return [_numbered(*row) for row in zip(*columns, strict=True)]


def _numbered(
    time: int,
    sequence: int,
    offset: int,
    vendor: Sequence[tuple[str, str]],
    price: Decimal,
    quantity: Decimal,
    side: str,
) -> NumberedTrade:
    given, number = dict(vendor), sequence or offset
    first, last = (int(given.get(name) or number) for name in ("f", "l"))
    return NumberedTrade(number, first, last, time, price, quantity, side == "BUY")


def recent(sent: Parameters) -> TradePage:
    """The trades that `trades` asks for."""
    return TradePage(sent.limit(), recent=True)


def historical(sent: Parameters) -> TradePage:
    """The trades that `historicalTrades` asks for."""
    return TradePage(sent.limit(), from_id=_id(sent), recent=True)


def aggregated(sent: Parameters) -> TradePage | None:
    """The trades that `aggTrades` asks for, both ends included; None if its end is before its start."""
    first, start, end = _id(sent), sent.time("startTime"), sent.time("endTime")
    if first is not None and (start is not None or end is not None):
        raise MirrorError(-1128, "Combination of optional parameters invalid.")
    if start is not None and end is not None and end < start:
        return None
    bounds = (None if start is None else start * 1000, None if end is None else (end + 1) * 1000)
    return TradePage(sent.limit(), *bounds, from_id=first)


def _id(sent: Parameters) -> int | None:
    number = sent.number("fromId")
    return None if number is None else min(number, _MOST)


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
