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
MS_END = 10**13  # times beyond are µs: X-MBX-TIME-UNIT may have been set on the way

_ROWS = msgspec.json.Decoder(list[dict[str, Raw]])


class _Kind(NamedTuple):
    """Where trades of a numbering are, their event type, and the socket's field names with those here."""

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
    """Aggregated trades have ids of their own."""
    return "agg" if instrument.stream == "aggTrade" else ""


def by_id(symbol: str, numbering: str, first: int, last: int) -> RestRequest:
    """Trades from an id on."""
    query = {"symbol": symbol, "fromId": str(first), "limit": str(min(LIMIT, last - first + 1))}
    return RestRequest(symbol, numbering, _KINDS[numbering].path, query)


def newest(symbol: str, numbering: str) -> RestRequest:
    """The newest trade."""
    return RestRequest(symbol, numbering, _KINDS[numbering].path, {"symbol": symbol, "limit": "1"})


def parse(request: RestRequest, body: bytes) -> Page:
    """Trades as @trade and @aggTrade have them, but for the event time, which is not told here."""
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
    requests_a_second=3.0,  # historicalTrades weigh 25 of 6000 a minute
    limit=LIMIT,
    parse=parse,
    by_id=by_id,
    numbering=numbering,
    newest=newest,
)
