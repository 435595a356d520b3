"""Kraken, WebSocket v1 (array protocol): https://docs.kraken.com/exchange/api-reference/spot-websocket-v1"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from k2stream.exchanges import raw
from k2stream.exchanges.rest.kraken import HISTORY, KLINES
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
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns

FIELDS = ("price", "volume", "time", "side", "orderType", "misc")
OWN_NAMES = {"XBT": "BTC", "XDG": "DOGE"}

ALREADY = "Already subscribed"  # sent as an error, but confirms the subscription
STATES = {
    "subscribed": Subscription.CONFIRMED,
    "error": Subscription.CONFIRMED,  # only for ALREADY
    "unsubscribed": Subscription.WITHDRAWN,
}


class NativeTrade(Struct, kw_only=True, gc=False):
    """One trade of a trade message."""

    pair: str
    price: str
    volume: str
    time: str
    side: str
    orderType: str
    misc: str


class Trade(Struct, kw_only=True, gc=False):
    """A trade's array as an object; `side` is the taker's, `orderType` l or m, `time` in decimal seconds."""

    pair: raw.Symbol
    price: str
    volume: str
    time: Annotated[str, Meta(pattern=r"^[0-9]{1,10}(\.[0-9]+)?\Z")]
    side: Literal["b", "s"]
    orderType: str
    misc: str


class _Event(Struct, gc=False):
    event: Any = ""
    status: Any = ""
    errorMessage: Any = ""
    Error: Any = ""  # e.g. "Exceeded msg rate", which has no event
    error: Any = ""
    pair: Any = ""
    subscription: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_ARRAY = msgspec.json.Decoder(list[Raw])
_NAME = msgspec.json.Decoder(str)
_SYMBOL = msgspec.json.Decoder(raw.Symbol)
_TRADE = msgspec.json.Decoder(Trade)


def subscribe(instruments: Sequence[Instrument], first: int = 1) -> list[Request]:
    """Return one request for all pairs."""
    pairs = tuple(item.symbol for item in instruments)
    request = {"event": "subscribe", "pair": pairs, "subscription": {"name": "trade"}}
    return [Request(msgspec.json.encode(request).decode(), pairs)]


def parse(frame: bytes) -> Frame:
    """Parse one message: an array is channel data (its second to last item the name), an object an event."""
    try:
        frame.decode()
        return _channel(frame) if frame.lstrip()[:1] == b"[" else _event(_EVENT.decode(frame))
    except raw.UNREADABLE as error:
        return raw.unusable(frame, error)


def _event(message: _Event) -> Frame:
    said = raw.text(message.errorMessage, message.Error, message.error)
    if message.event == "subscriptionStatus":
        return _status(message, said)
    if message.event == "error" or message.status == "error" or said:
        refused = Answer(Subscription.REFUSED, _pairs(message))
        return Frame(Kind.ERROR, detail=raw.text(message.pair, said), answer=refused)
    if message.event in ("systemStatus", "heartbeat", "pong"):
        return Frame(Kind.CONTROL, detail=raw.text(message.event, message.status))
    return Frame(Kind.UNKNOWN, detail=raw.text(message.event) or "no event")


def _status(message: _Event, said: str) -> Frame:
    """Parse a subscriptionStatus, which is about one pair. Only the trade channel is subscribed."""
    if message.status == "error" and said != ALREADY:
        refused = Answer(Subscription.REFUSED, _pairs(message))
        return Frame(Kind.ERROR, detail=raw.text(message.pair, said), answer=refused)
    state = STATES.get(message.status if type(message.status) is str else "")
    detail = raw.text(message.event, message.status, message.pair if state is Subscription.WITHDRAWN else "")
    answer = Answer(state, _pairs(message)) if state and _of_trades(message.subscription) else None
    return Frame(Kind.CONTROL, detail=detail, answer=answer)


def _pairs(message: _Event) -> tuple[str, ...]:
    return (message.pair,) if type(message.pair) is str and message.pair else ()


def _of_trades(subscription: Any) -> bool:
    return not isinstance(subscription, dict) or subscription.get("name", "trade") == "trade"


def _channel(frame: bytes) -> Frame:
    parts = _ARRAY.decode(frame)
    name = _NAME.decode(parts[-2]) if len(parts) >= 4 else ""
    if name != "trade":
        return Frame(Kind.UNKNOWN, detail=name[:200] or "array of no channel")
    accepted: list[RawTrade] = []
    rejects: list[Reject] = []
    try:
        symbol = _SYMBOL.decode(parts[-1])
        rows = [row for part in parts[1:-2] for row in _ARRAY.decode(part)]
    except raw.UNREADABLE as error:
        return raw.trades([], [Reject(raw.cause(error), frame)])
    for row in rows:
        try:
            accepted.append(RawTrade(symbol, _body(bytes(parts[-1]), _ARRAY.decode(row))))
        except raw.UNREADABLE as error:
            rejects.append(Reject(raw.cause(error), bytes(row)))
    return raw.trades(accepted, rejects)


def _body(pair: bytes, row: Sequence[Raw]) -> bytes:
    """Convert a trade's array to a JSON object of the same literals. Raises ValueError for other arrays."""
    if len(row) < len(FIELDS):
        raise ValueError(f"trade of {len(row)} fields, expected {len(FIELDS)}")
    fields = zip(FIELDS, row, strict=False)  # unknown additional fields are omitted
    named = b",".join(b'"%b":%b' % (name.encode(), bytes(value)) for name, value in fields)
    body = b'{"pair":%b,%b}' % (pair, named)
    _TRADE.decode(body)
    return body


def normalize(records: Sequence[Any]) -> TradeColumns:
    """Convert records to columns, without trade ids (k2stream/normalizer/continuity creates them)."""
    return TradeColumns(
        exchange="kraken",
        symbol=[item.pair for item in records],
        trade_id=[""] * len(records),
        timestamp=[_micros(item.time) for item in records],
        receive_time=[item.k2_recv for item in records],
        price=[item.price for item in records],
        quantity=[item.volume for item in records],
        taker_buy=[item.side == "b" for item in records],
        sequence=[0] * len(records),
        trade_count=[1] * len(records),
        likeness="orderType",
        vendor_data={
            "orderType": [item.orderType for item in records],
            "misc": [item.misc for item in records],
        },
    )


def _micros(time: str) -> int:
    """Convert decimal seconds to µs, truncated."""
    seconds, _, fraction = time.partition(".")
    return int(seconds + fraction[:6].ljust(6, "0"))


def canonical(symbol: str) -> str:
    """Convert XBT/USD to BTC/USD, by replacing Kraken's own asset names."""
    return "/".join(OWN_NAMES.get(asset, asset) for asset in symbol.split("/"))


KRAKEN = Exchange(
    name="kraken",
    ws_url="wss://ws.kraken.com",
    rest_url="https://api.kraken.com",
    native=Native(NativeTrade, symbol="pair", words=("pair", "side", "orderType")),
    subscribe=subscribe,
    parse=parse,
    record=raw.recorded(Trade),
    normalize=normalize,
    canonical=canonical,
    continuity=Continuity.NONE,
    silence_seconds=15.0,  # heartbeats arrive every second when there are no other messages
    history=HISTORY,
    klines=KLINES,
)
