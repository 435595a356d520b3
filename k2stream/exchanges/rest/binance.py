"""Binance spot: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from k2stream.exchanges.rest.klines import Amount, Kline, RestKlines
from k2stream.exchanges.rest.spec import Page, Past, RestHistory, RestRequest, answer, page, text
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade

LIMIT = 1000
MS_END = 10**13  # larger times are in µs: a proxy may have set X-MBX-TIME-UNIT

IGNORED = "M"  # the exchange's own word for the field: a trade may lack it

_ROWS = msgspec.json.Decoder(list[Raw])
_ROW = msgspec.json.Decoder(dict[str, Raw])


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

    def past(encoded: Raw) -> Past:
        row = _ROW.decode(encoded)
        names = ((name, here) for name, here in kind.names.items() if name != IGNORED or here in row)
        fields = {name: bytes(row[here]) for name, here in names}
        number, time = int(next(iter(fields.values()))), int(fields["T"])
        trade = RawTrade(request.symbol, text({"e": kind.event, "s": symbol} | fields))
        return Past(number, time * 1000 if time < MS_END else time, trade)

    return answer(_ROWS, body, lambda rows: page(rows, past))


HISTORY = RestHistory(
    requests_a_second=3.0,  # historicalTrades has weight 25, of 6000 per minute
    limit=LIMIT,
    parse=parse,
    by_id=by_id,
    numbering=numbering,
    newest=newest,
)

# Klines, which count trades as the streams do. https://developers.binance.com/docs/binance-spot-api-docs has
# them under "market-data-endpoints"; a quiet window has one of volume 0.

_KLINES = msgspec.json.Decoder(
    list[
        tuple[int, Amount, Amount, Amount, Amount, Amount, int, Amount, int, Amount, Amount, str]  # 12 fields
    ]
)


def klines(symbol: str, interval: str, first: int, last: int) -> RestRequest:
    """Request the klines from the first to the last open time, in ms."""
    query = {"symbol": symbol, "interval": interval, "limit": str(LIMIT)}
    times = {"startTime": str(first), "endTime": str(last)}
    return RestRequest(symbol, "", "/api/v3/klines", query | times)


def parse_klines(body: bytes) -> list[Kline]:
    """Parse klines, oldest first."""

    def kline(row: Sequence[Any]) -> Kline:
        time, opened, high, low, close, volume, _, _, count, taker_buy, *_ = row
        started = time if time < MS_END else time // 1000
        return Kline.from_strings(started, (opened, high, low, close, volume), count, taker_buy)

    return answer(_KLINES, body, lambda rows: list(map(kline, rows)))


KLINES = RestKlines(
    timeframes={name: name for name in ("1m", "5m", "15m", "30m", "1h", "1d")},
    limit=LIMIT,
    request=klines,
    parse=parse_klines,
    requests_a_second=5.0,  # a request has weight 2, of 6000 per minute
)
