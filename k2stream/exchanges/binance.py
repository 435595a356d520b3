"""Binance spot, combined streams: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from k2stream.exchanges import raw
from k2stream.exchanges.rest.binance import HISTORY, KLINES
from k2stream.exchanges.spec import (
    Answer,
    Continuity,
    Exchange,
    Frame,
    Int64,
    Kind,
    Layout,
    Native,
    Reject,
    Request,
    Subscription,
)
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns

MAX_STREAMS = 1024  # per connection
STREAMS_A_FRAME = 256  # keeps subscribing to all streams below 5 messages per second
DAY_SECONDS = 86_400  # the server closes a connection of this age

# Longest first: BTCFDUSD is BTC/FDUSD, BNBBIDR is BNB/BIDR.
# fmt: off
QUOTES = (
    "FDUSD",
    "USDT", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "AEUR", "EURI", "DOGE", "IDRT", "BIDR", "BKRW",
    "BVND",
    "BTC", "ETH", "BNB", "XRP", "TRX", "SOL", "DOT", "DAI", "PAX", "UST", "EUR", "GBP", "AUD", "JPY", "TRY",
    "BRL", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "MXN", "COP", "CZK", "IDR",
)
# fmt: on

# Times are in ms, or in µs if the URL has timeUnit=MICROSECOND; times in ms have at most 13 digits.
MS_END = 10**13
Time = Annotated[int, Meta(ge=0, lt=raw.TIME_LIMIT)]


class Event(Struct, kw_only=True, gc=False, tag_field="e"):
    """The fields that @trade and @aggTrade share; class variables replace fields of the other stream."""

    numbering: ClassVar[str]
    event_time: raw.Id = field(name="E", default=0)
    symbol: raw.Symbol = field(name="s")
    price: str = field(name="p")
    quantity: str = field(name="q")
    time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")


class NativeTrade(Struct, kw_only=True, gc=False):
    """@trade and @aggTrade; `a` is the seller's order id in the former and the trade id in the latter."""

    e: str
    E: Int64 | None = None
    s: str
    t: Int64 | None = None
    a: Int64 | None = None
    b: Int64 | None = None
    f: Int64 | None = None
    l: Int64 | None = None  # noqa: E741 - the exchange's name
    p: str
    q: str
    T: Int64
    m: bool
    M: bool | None = None


class Trade(Event, kw_only=True, gc=False, tag="trade"):
    """@trade. Order ids were removed from the stream; older captures contain them."""

    numbering = ""
    first: ClassVar[None] = None
    last: ClassVar[None] = None
    trade_count: ClassVar[int] = 1
    id: raw.Id = field(name="t")
    buyer_order: int | None = field(name="b", default=None)
    seller_order: int | None = field(name="a", default=None)


class AggTrade(Event, kw_only=True, gc=False, tag="aggTrade"):
    """@aggTrade: one record for the trades with ids `first` to `last`."""

    numbering = "agg"
    buyer_order: ClassVar[None] = None
    seller_order: ClassVar[None] = None
    id: raw.Id = field(name="a")
    first: raw.Id = field(name="f")
    last: raw.Id = field(name="l")

    def __post_init__(self) -> None:
        if not 0 < self.trade_count < 2**31:
            raise ValueError("last trade id before the first, or too far from it")

    @property
    def trade_count(self) -> int:
        """Return the number of trades that the record stands for."""
        return self.last - self.first + 1


class _Message(Struct, gc=False):
    """The fields that distinguish messages: a combined frame, its data, a single-stream frame, a response."""

    stream: Any = ""
    data: Raw | UnsetType = UNSET
    e: Any = ""
    s: Any = ""
    M: Any = UNSET
    X: Any = UNSET
    nq: Any = UNSET
    result: Any = UNSET
    id: Any = None
    error: Any = None
    code: Any = UNSET
    msg: Any = UNSET


_MESSAGE = msgspec.json.Decoder(_Message)
_TRADE = msgspec.json.Decoder(Trade | AggTrade)


def subscribe(instruments: Sequence[Instrument], first: int = 1) -> list[Request]:
    """Return SUBSCRIBE requests for the instruments' streams.

    Raises ConfigError for more instruments than a connection may carry.
    """
    if len(instruments) > MAX_STREAMS:
        raise ConfigError(
            f"binance: {len(instruments)} instruments, at most {MAX_STREAMS} fit a connection: remove some"
        )
    parts = [instruments[at : at + STREAMS_A_FRAME] for at in range(0, len(instruments), STREAMS_A_FRAME)]
    return [_request(part, number) for number, part in enumerate(parts, first)]


def _request(instruments: Sequence[Instrument], number: int) -> Request:
    streams = [f"{item.symbol.lower()}@{item.stream}" for item in instruments]
    text = msgspec.json.encode({"method": "SUBSCRIBE", "params": streams, "id": number}).decode()
    return Request(text, tuple(item.symbol for item in instruments), number)


def parse(frame: bytes) -> Frame:
    """Parse one message. A futures trade is unknown: its unit may be contracts."""
    try:
        frame.decode()
        outer = message = _MESSAGE.decode(frame)
        body = frame.strip()
        if outer.data is not UNSET:
            body = bytes(outer.data)
            message = _MESSAGE.decode(body)
    except raw.UNREADABLE as error:
        return raw.unusable(frame, error)
    if message.e in ("trade", "aggTrade"):
        return Frame(Kind.UNKNOWN, detail="futures trade") if _is_of_futures(message) else _trade(body)
    if message.e == "serverShutdown":
        return Frame(Kind.CONTROL, detail="serverShutdown", closing=True)
    if outer.error is not None or (outer.code is not UNSET and outer.msg is not UNSET):
        refused = Answer(Subscription.REFUSED, request=_number(outer))
        return Frame(Kind.ERROR, detail=_error_text(outer), answer=refused)
    if outer.result is not UNSET:
        return Frame(Kind.CONTROL, detail="answer", answer=_answer(outer))
    return Frame(Kind.UNKNOWN, detail=raw.text(message.e or outer.stream) or "no event type")


def _is_of_futures(message: _Message) -> bool:
    """Whether a trade has what only those of futures have; `M`, which only spot has, may be left out."""
    dated = isinstance(message.s, str) and "_" in message.s  # e.g. BTCUSD_PERP, whose unit is contracts
    return message.M is UNSET and (message.X is not UNSET or message.nq is not UNSET or dated)


def _trade(body: bytes) -> Frame:
    try:
        return raw.trades([RawTrade(_TRADE.decode(body).symbol, body)], [])
    except raw.UNREADABLE as error:
        return raw.trades([], [Reject(raw.cause(error), body)])


def _answer(message: _Message) -> Answer | None:
    """Return the confirmation of a numbered SUBSCRIBE, whose result is null; None for other responses."""
    number = _number(message)
    return Answer(Subscription.CONFIRMED, request=number) if number and message.result is None else None


def _number(message: _Message) -> int | None:
    return message.id if type(message.id) is int else None


def _error_text(message: _Message) -> str:
    if isinstance(message.error, dict):
        return raw.text(message.error.get("code"), message.error.get("msg"))
    return raw.text(message.code, message.msg, message.error)


def normalize(records: Sequence[Any]) -> TradeColumns:
    """Convert records to columns. T is the trade time; `m` says that the buyer was the maker."""
    numbering = [item.numbering for item in records]
    return TradeColumns(
        exchange="binance",
        symbol=[item.symbol for item in records],
        trade_id=[str(item.id) for item in records],
        timestamp=[item.time * 1000 if item.time < MS_END else item.time for item in records],
        receive_time=[item.k2_recv for item in records],
        price=[item.price for item in records],
        quantity=[item.quantity for item in records],
        taker_buy=[not item.buyer_is_maker for item in records],
        sequence=[item.id for item in records],
        trade_count=[item.trade_count for item in records] if any(numbering) else [1] * len(records),
        vendor_data=_vendor_data(records, any(numbering)),
        numbering=numbering if any(numbering) else [],
        first=[item.id if item.first is None else item.first for item in records] if any(numbering) else [],
        last=[item.id if item.last is None else item.last for item in records] if any(numbering) else [],
    )


def _vendor_data(records: Sequence[Any], aggregated: bool) -> dict[str, list[str]]:
    data = {"E": [str(item.event_time) for item in records]}
    names = {"a": "seller_order", "b": "buyer_order"} | ({"f": "first", "l": "last"} if aggregated else {})
    for name, attribute in names.items():
        values = [getattr(item, attribute) for item in records]
        if any(value is not None for value in values):
            data[name] = ["" if value is None else str(value) for value in values]
    return data


def canonical(symbol: str) -> str:
    """Convert BTCUSDT to BTC/USDT, by the quote assets; other symbols are returned unchanged."""
    quote = next((quote for quote in QUOTES if symbol.endswith(quote) and symbol != quote), "")
    return f"{symbol.removesuffix(quote)}/{quote}" if quote else symbol


BINANCE = Exchange(
    name="binance",
    ws_url="wss://stream.binance.com:9443/stream",
    rest_url="https://api.binance.com",
    native=Native(
        NativeTrade,
        symbol="s",
        words=("e", "s"),
        renamed={"E": "event_time", "T": "trade_time", "M": "best_match"},
    ),
    subscribe=subscribe,
    parse=parse,
    record=raw.recorded(Trade) | raw.recorded(AggTrade),
    normalize=normalize,
    canonical=canonical,
    conditions={"agg": "aggregated"},
    covered=("f", "l"),
    continuity=Continuity.CONTIGUOUS,
    silence_seconds=30.0,
    expected_close=lambda age_seconds: age_seconds >= DAY_SECONDS - 300,
    refuses_whole=True,
    layout=Layout(
        symbol="s",
        id="t",
        price="p",
        quantity="q",
        time="T",
        buyer_is_maker="m",
        micros=lambda time: np.where(time < MS_END, time * 1000, time),
        vendor_data=("E",),
        constant={"e": "trade"},
        absent=("a", "b"),
    ),
    history=HISTORY,
    klines=KLINES,
)
