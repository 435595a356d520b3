"""What the Tulip Exchange says on its socket, and over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Page, Past, RestHistory, RestRequest, answer, page, text
from k2stream.exchanges.spec import (
    Answer,
    Continuity,
    Exchange,
    Frame,
    Int64,
    Kind,
    Native,
    Reject,
    Request,
    Subscription,
)
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, TradeColumns


class NativeTrade(Struct, kw_only=True, gc=False):
    """A trade in the exchange's own fields: the columns of its bronze tables."""

    market: str
    no: Int64
    at: str
    rate: str
    amount: str
    maker: str
    lot: Int64 | None = None


class Trade(Struct, kw_only=True, gc=False):
    """What of it is read. `at` is µs since 1970, `maker` the side of who waited in the book."""

    market: raw.Symbol
    no: raw.Id
    at: Annotated[str, Meta(pattern=r"^[0-9]{16}\Z")]
    rate: str
    amount: str
    maker: Literal["bid", "ask"]
    lot: raw.Id | None = None


class _Message(Struct, gc=False):
    type: Any = ""
    trade: Raw = Raw(b"null")
    markets: Any = ()
    market: Any = ""
    why: Any = ""


_MESSAGE = msgspec.json.Decoder(_Message)
_TRADE = msgspec.json.Decoder(Trade)


def subscribe(instruments: Sequence[Instrument], first: int = 1) -> list[Request]:
    """One request for all markets."""
    markets = tuple(item.symbol for item in instruments)
    return [Request(msgspec.json.encode({"join": markets}).decode(), markets)]


def parse(frame: bytes) -> Frame:
    """One message."""
    try:
        frame.decode()
        message = _MESSAGE.decode(frame)
    except raw.UNREADABLE as error:
        return raw.unusable(frame, error)
    match message.type:
        case "trade":
            return _trade(bytes(message.trade))
        case "joined" if isinstance(message.markets, list):
            markets = tuple(name for name in message.markets if type(name) is str)
            confirmed = Answer(Subscription.CONFIRMED, markets, complete=True)
            return Frame(Kind.CONTROL, detail="joined", answer=confirmed)
        case "refused":
            markets = (message.market,) if type(message.market) is str and message.market else ()
            refused = Answer(Subscription.REFUSED, markets)
            return Frame(Kind.ERROR, detail=raw.text(message.market, message.why), answer=refused)
        case "beat":
            return Frame(Kind.CONTROL, detail="beat")
    return Frame(Kind.UNKNOWN, detail=raw.text(message.type) or "no type")


def _trade(body: bytes) -> Frame:
    try:
        return raw.trades([RawTrade(_TRADE.decode(body).market, body)], [])
    except raw.UNREADABLE as error:
        return raw.trades([], [Reject(raw.cause(error), body)])


def normalize(records: Sequence[Any]) -> TradeColumns:
    """Records to columns: who waited asked, so the taker bought."""
    return TradeColumns(
        exchange="tulip",
        symbol=[item.market for item in records],
        trade_id=[str(item.no) for item in records],
        timestamp=[int(item.at) for item in records],
        receive_time=[item.k2_recv for item in records],
        price=[item.rate for item in records],
        quantity=[item.amount for item in records],
        taker_buy=[item.maker == "ask" for item in records],
        sequence=[item.no for item in records],
        trade_count=[1] * len(records),
        vendor_data={"lot": ["" if item.lot is None else str(item.lot) for item in records]},
    )


def canonical(symbol: str) -> str:
    """BTC_NLG to BTC/NLG."""
    return symbol.replace("_", "/", 1)


BRONZE_VIEW = """
    toString(market) AS symbol, toString(no) AS id, false AS aggregated, rate AS price, amount AS quantity,
    if(maker = 'ask', 'BUY', 'SELL') AS side,
    fromUnixTimestamp64Micro(toInt64OrZero(at), 'UTC') AS timestamp,
    mapFilter((name, value) -> value != '', map('lot', ifNull(toString(lot), ''))) AS vendor_data"""

_ROWS = msgspec.json.Decoder(list[Raw])
_ROW = msgspec.json.Decoder(dict[str, Raw])


def by_id(symbol: str, numbering: str, first: int, last: int) -> RestRequest:
    """Trades from a number on."""
    query = {"market": symbol, "from": str(first), "count": str(min(500, last - first + 1))}
    return RestRequest(symbol, numbering, "/past", query)


def newest(symbol: str, numbering: str) -> RestRequest:
    """The newest trade."""
    return RestRequest(symbol, numbering, "/past", {"market": symbol, "count": "1"})


def past(request: RestRequest, body: bytes) -> Page:
    """Trades as the socket has them."""

    def one(row: Raw) -> Past:
        fields = {name: bytes(value) for name, value in _ROW.decode(row).items()}
        trade = _TRADE.decode(text(fields))
        return Past(trade.no, int(trade.at), RawTrade(trade.market, text(fields)))

    return answer(_ROWS, body, lambda rows: page(rows, one))


TULIP = Exchange(
    name="tulip",
    ws_url="wss://feed.tulip.example/v1",
    rest_url="https://feed.tulip.example",
    native=Native(NativeTrade, symbol="market", words=("market", "maker"), bronze_view=BRONZE_VIEW),
    subscribe=subscribe,
    parse=parse,
    record=raw.recorded(Trade),
    normalize=normalize,
    canonical=canonical,
    continuity=Continuity.CONTIGUOUS,
    silence_seconds=10.0,
    history=RestHistory(requests_a_second=5.0, limit=500, parse=past, by_id=by_id, newest=newest),
)
