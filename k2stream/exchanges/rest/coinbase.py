"""Coinbase Exchange, which has the same trades and ids as Advanced Trade.

https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-trades
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from k2stream.exchanges.rest.spec import Page, Past, RestHistory, RestRequest, answer, text
from k2stream.model.trade import RawTrade

LIMIT = 1000


class _Trade(Struct, gc=False):
    """A trade; `side` is the maker's side here too."""

    trade_id: int
    time: str
    price: Raw
    size: Raw
    side: str


_ROWS = msgspec.json.Decoder(list[_Trade])


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

    def past(row: _Trade) -> Past:
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

    def page(rows: Sequence[_Trade]) -> Page:
        return Page(sorted(map(past, rows)))

    return answer(_ROWS, body, page)


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
