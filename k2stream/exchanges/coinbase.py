"""Coinbase Advanced Trade, channel market_trades: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from k2stream.exchanges import raw
from k2stream.exchanges.rest.coinbase import HISTORY, KLINES
from k2stream.exchanges.spec import (
    Answer,
    Continuity,
    Exchange,
    Frame,
    Kind,
    Native,
    Reject,
    Request,
    Subscription,
)
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns

_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{0,9}))?(?:Z|\+00:00)")

USDC_MARKETS = ("USDT-USDC", "EURC-USDC")
"""The USDC products whose own trades this feed sends."""


class NativeTrade(Struct, kw_only=True, gc=False):
    """A trade of market_trades; numbers may be strings or JSON numbers. `side` is the maker's side."""

    trade_id: Raw
    product_id: str
    price: Raw
    size: Raw
    side: str
    time: str
    type: str


class Trade(Struct, kw_only=True, gc=False):
    """A trade and the `type` of its event. Price and size may be strings or numbers."""

    trade_id: Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z")]
    product_id: raw.Symbol
    price: Raw
    size: Raw
    side: Literal["BUY", "SELL"]
    time: str
    type: Literal["snapshot", "update"]

    def __post_init__(self) -> None:
        _micros(self.time)


class _Message(Struct, gc=False):
    channel: Any = ""
    type: Any = ""
    message: Any = ""
    reason: Any = ""
    sequence_num: Any = None
    events: Raw = Raw(b"null")


class _Event(Struct, gc=False):
    type: Literal["snapshot", "update"]
    trades: list[Raw]


class _List(Struct, gc=False):
    subscriptions: dict[str, list[str]]


_MESSAGE = msgspec.json.Decoder(_Message)
_ARRAY = msgspec.json.Decoder(list[Raw])
_EVENT = msgspec.json.Decoder(_Event)
_LISTS = msgspec.json.Decoder(list[_List])
_TRADE = msgspec.json.Decoder(Trade)


def subscribe(instruments: Sequence[Instrument], first: int = 1) -> list[Request]:
    """Return one request for all products.

    Raises ConfigError for a product for which Coinbase sends another product's trades.
    """
    products = tuple(item.symbol for item in instruments)
    for product in products:
        if product.endswith("-USDC") and product not in USDC_MARKETS:
            other = product.removesuffix("C")
            raise ConfigError(
                f"coinbase {product}: Coinbase answers it with the trades of {other}; "
                f"name {other} in its place (of -USDC only {' and '.join(USDC_MARKETS)} have a feed)"
            )
    request = {"type": "subscribe", "product_ids": products, "channel": "market_trades"}
    return [Request(msgspec.json.encode(request).decode(), products)]


def parse(frame: bytes) -> Frame:
    """Parse one message; `sequence` is its number on the connection, counted over all channels."""
    try:
        frame.decode()
        message = _MESSAGE.decode(frame)
    except raw.UNREADABLE as error:
        return raw.unusable(frame, error)
    sequence = message.sequence_num if type(message.sequence_num) is int else None
    if message.type == "error":
        detail = raw.text(message.message, message.reason)
        return Frame(Kind.ERROR, detail=detail, sequence=sequence, answer=Answer(Subscription.REFUSED))
    if message.channel == "market_trades":
        return _trades(frame, message, sequence)
    known = message.channel in ("subscriptions", "heartbeats")
    answer = _subscribed(message.events) if message.channel == "subscriptions" else None
    detail = raw.text(message.channel or message.type) or "no channel"
    return Frame(Kind.CONTROL if known else Kind.UNKNOWN, detail=detail, sequence=sequence, answer=answer)


def _subscribed(events: Raw) -> Answer | None:
    """Return all products with subscribed trades, from the newest list; None if it is unreadable."""
    try:
        listed = _LISTS.decode(events)
    except raw.UNREADABLE:
        return None
    products = listed[-1].subscriptions.get("market_trades") if listed else None
    if products is None:  # no list for market_trades: products confirmed before are no longer subscribed
        return Answer(Subscription.WITHDRAWN)
    return Answer(Subscription.CONFIRMED, tuple(products), complete=True)


def _trades(frame: bytes, message: _Message, sequence: int | None) -> Frame:
    accepted: list[tuple[int, RawTrade]] = []
    rejects: list[Reject] = []
    try:
        events = _ARRAY.decode(message.events)
    except raw.UNREADABLE as error:
        return raw.trades([], [Reject(raw.cause(error), frame)], sequence)
    for item in events:
        try:
            event = _EVENT.decode(item)
        except raw.UNREADABLE as error:
            rejects.append(Reject(raw.cause(error), bytes(item)))
            continue
        for native in event.trades:
            try:
                body = b'%b,"type":"%b"}' % (bytes(native)[:-1], event.type.encode())
                trade = _TRADE.decode(body)
                accepted.append((int(trade.trade_id), RawTrade(trade.product_id, body)))
            except raw.UNREADABLE as error:
                rejects.append(Reject(raw.cause(error), bytes(native)))
    accepted.sort(key=lambda pair: pair[0])  # snapshots are in descending order
    return raw.trades([trade for _, trade in accepted], rejects, sequence)


def normalize(records: Sequence[Any]) -> TradeColumns:
    """Convert records to columns. `side` is the maker's side, so the taker's is the opposite."""
    return TradeColumns(
        exchange="coinbase",
        symbol=[item.product_id for item in records],
        trade_id=[item.trade_id for item in records],
        timestamp=[_micros(item.time) for item in records],
        receive_time=[item.k2_recv for item in records],
        price=[_literal(item.price) for item in records],
        quantity=[_literal(item.size) for item in records],
        taker_buy=[item.side == "SELL" for item in records],
        sequence=[int(item.trade_id) for item in records],
        trade_count=[1] * len(records),
        vendor_data={"type": [item.type for item in records]},
    )


def _literal(value: Raw) -> str:
    """Return the literal digits of a JSON number or string."""
    return str(value, "utf-8", "replace").strip('"')


@lru_cache(maxsize=8192)  # trades of one match share their time, and each is parsed twice
def _micros(time: str) -> int:
    """Convert a UTC time with up to 9 fraction digits to µs, truncated. Raises ValueError for other texts."""
    parts = _TIME.fullmatch(time)
    if parts is None:
        raise ValueError(f"not a UTC time: {time[:40]!r}")
    seconds = int(datetime.fromisoformat(parts[1]).replace(tzinfo=UTC).timestamp())
    micros = seconds * 1_000_000 + int((parts[2] or "")[:6].ljust(6, "0"))
    if not 0 <= micros < raw.TIME_LIMIT:
        raise ValueError(f"time out of range: {time!r}")
    return micros


def canonical(symbol: str) -> str:
    """Convert BTC-USD to BTC/USD."""
    return symbol.replace("-", "/", 1)


COINBASE = Exchange(
    name="coinbase",
    ws_url="wss://advanced-trade-ws.coinbase.com",
    rest_url="https://api.exchange.coinbase.com",
    native=Native(NativeTrade, symbol="product_id", words=("product_id", "side", "type")),
    subscribe=subscribe,
    parse=parse,
    record=raw.recorded(Trade),
    normalize=normalize,
    canonical=canonical,
    continuity=Continuity.RISING,
    silence_seconds=10.0,  # heartbeats arrive every second
    heartbeats='{"type":"subscribe","channel":"heartbeats"}',
    refuses_whole=True,
    history=HISTORY,
    klines=KLINES,
)
