"""Binance spot: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from k2stream.exchanges.rest.spec import Page, Past, RestHistory, RestRequest, answer, text
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade

LIMIT = 1000
MS_END = 10**13  # larger times are in µs: a proxy may have set X-MBX-TIME-UNIT

_ROWS = msgspec.json.Decoder(list[dict[str, Raw]])


class _Kind(NamedTuple):
    """REST path and event type of a numbering, and the REST field name by WebSocket field name."""

    path: str
    event: bytes
    names: Mapping[str, str]


_KINDS = {
    "": _Kind(
        "/api/v3/historicalTrades",
        b'"trade"',
        {"t": "id", "p": "price", "q": "qty", "T": "time", "m": "isBuyerMaker", "M": "isBestMatch"},
    ),
    "agg": _Kind("/api/v3/aggTrades", b'"aggTrade"', {name: name for name in "apqflTmM"}),
}


def numbering(instrument: Instrument) -> str:
    """Return the numbering of an instrument's trades; aggregated trades have separate ids."""
    return "agg" if instrument.stream == "aggTrade" else ""


def by_id(symbol: str, numbering: str, first: int, last: int) -> RestRequest:
    """Request the trades from an id on."""
    query = {"symbol": symbol, "fromId": str(first), "limit": str(min(LIMIT, last - first + 1))}
    return RestRequest(symbol, numbering, _KINDS[numbering].path, query)


def newest(symbol: str, numbering: str) -> RestRequest:
    """Request the newest trade."""
    return RestRequest(symbol, numbering, _KINDS[numbering].path, {"symbol": symbol, "limit": "1"})


def parse(request: RestRequest, body: bytes) -> Page:
    """Parse trades to the fields of @trade and @aggTrade, except for the event time, which REST lacks."""
    kind, symbol = _KINDS[request.numbering], msgspec.json.encode(request.symbol)

    def past(row: Mapping[str, Raw]) -> Past:
        fields = {name: bytes(row[here]) for name, here in kind.names.items()}
        number, time = int(next(iter(fields.values()))), int(fields["T"])
        trade = RawTrade(request.symbol, text({"e": kind.event, "s": symbol} | fields))
        return Past(number, time * 1000 if time < MS_END else time, trade)

    def page(rows: Sequence[Mapping[str, Raw]]) -> Page:
        return Page([past(row) for row in rows])

    return answer(_ROWS, body, page)


HISTORY = RestHistory(
    requests_a_second=3.0,  # historicalTrades has weight 25, of 6000 per minute
    limit=LIMIT,
    parse=parse,
    by_id=by_id,
    numbering=numbering,
    newest=newest,
)
