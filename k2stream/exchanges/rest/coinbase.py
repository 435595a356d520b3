"""Coinbase Exchange, which has the same trades and ids as Advanced Trade.

https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-trades
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from k2stream.exchanges.rest.klines import Amount, Kline, RestKlines
from k2stream.exchanges.rest.spec import Page, Past, RestHistory, RestRequest, answer, page, text
from k2stream.model.trade import RawTrade

LIMIT = 1000


class _Trade(Struct, gc=False):
    """A trade; `side` is the maker's side here too."""

    trade_id: int
    time: str
    price: Raw
    size: Raw
    side: str


_ROWS = msgspec.json.Decoder(list[Raw])
_ROW = msgspec.json.Decoder(_Trade)


def by_id(symbol: str, numbering: str, first: int, last: int) -> RestRequest:
    """Request the newest trades below the id `after`, which include all from `first` on: ids are unique."""
    end = min(last, first + LIMIT - 1) + 1
    return RestRequest(symbol, numbering, _path(symbol), {"after": str(end), "limit": str(LIMIT)})


def newest(symbol: str, numbering: str) -> RestRequest:
    """Request the newest trade."""
    return RestRequest(symbol, numbering, _path(symbol), {"limit": "1"})


def _path(symbol: str) -> str:
    return f"/products/{quote(symbol, safe='')}/trades"


def parse(request: RestRequest, body: bytes) -> Page:
    """Parse trades, which arrive newest first, to the form of market_trades updates."""
    product = msgspec.json.encode(request.symbol)

    def past(encoded: Raw) -> Past:
        row = _ROW.decode(encoded)
        fields = {
            "product_id": product,
            "trade_id": b'"%d"' % row.trade_id,
            "price": bytes(row.price),
            "size": bytes(row.size),
            "time": msgspec.json.encode(row.time),
            "side": msgspec.json.encode(row.side.upper()),
            "type": b'"update"',
        }
        return Past(row.trade_id, _micros(row.time), RawTrade(request.symbol, text(fields)))

    found = answer(_ROWS, body, lambda rows: page(rows, past))
    return found._replace(trades=sorted(found.trades))


def _micros(time: str) -> int:
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1_000_000 + int(fraction[:6].ljust(6, "0"))


HISTORY = RestHistory(
    requests_a_second=5.0,  # the limit is 10
    limit=LIMIT,
    parse=parse,
    by_id=by_id,
    upward=False,
    newest=newest,
)


# Candles of Advanced Trade, whose digits are strings; those of Coinbase Exchange are floats, and lack 30m.
# https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-product-candles

_GRANULARITIES = {
    "1m": "ONE_MINUTE",
    "5m": "FIVE_MINUTE",
    "15m": "FIFTEEN_MINUTE",
    "30m": "THIRTY_MINUTE",
    "1h": "ONE_HOUR",
    "1d": "ONE_DAY",
}


class _Candle(Struct, gc=False):
    start: Annotated[str, Meta(pattern=r"^[0-9]{1,12}\Z")]
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount


class _Candles(Struct, gc=False):
    candles: list[_Candle]


_CANDLES = msgspec.json.Decoder(_Candles)


def candles(symbol: str, granularity: str, first: int, last: int) -> RestRequest:
    """Request the candles from the first to the last open time, in ms."""
    query = {"start": str(first // 1000), "end": str(last // 1000), "granularity": granularity}
    path = f"/api/v3/brokerage/market/products/{quote(symbol, safe='')}/candles"
    return RestRequest(symbol, "", path, {**query, "limit": str(KLINES.limit)})


def parse_candles(body: bytes) -> list[Kline]:
    """Parse candles, which arrive newest first; the exchange does not say how many trades they have."""

    def kline(row: _Candle) -> Kline:
        return Kline.from_strings(int(row.start) * 1000, (row.open, row.high, row.low, row.close, row.volume))

    return answer(_CANDLES, body, lambda said: sorted(map(kline, said.candles)))


KLINES = RestKlines(
    timeframes=_GRANULARITIES,
    limit=350,
    request=candles,
    parse=parse_candles,
    requests_a_second=3.0,  # the limit is 10
    url="https://api.coinbase.com",
)
