"""Kraken: https://docs.kraken.com/api/docs/rest-api/get-recent-trades"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from k2stream.exchanges.rest.klines import Amount, Kline, RestKlines
from k2stream.exchanges.rest.spec import (
    HistoryError,
    Page,
    Past,
    RestHistory,
    RestRequest,
    answer,
    page,
    text,
)
from k2stream.model.trade import RawTrade

LIMIT = 1000
FINAL = ("EQuery:Unknown asset pair", "EGeneral:Invalid arguments")

FIELDS = ("price", "volume", "time", "side", "orderType", "misc")
_TIME = re.compile(rb"([0-9]{1,10})(?:\.([0-9]+))?")


class _Answer(Struct, gc=False):
    error: list[str]
    result: dict[str, Raw] = {}


_ANSWER = msgspec.json.Decoder(_Answer)
_ROWS = msgspec.json.Decoder(list[Raw])
_ROW = msgspec.json.Decoder(list[Raw])
_LAST = msgspec.json.Decoder(int, strict=False)


def by_time(symbol: str, since_ns: int) -> RestRequest:
    """Request trades after a time, oldest first; the pair has the same name as on the WebSocket."""
    query = {"pair": symbol, "since": str(since_ns), "count": str(LIMIT)}
    return RestRequest(symbol, "", "/0/public/Trades", query)


def parse(request: RestRequest, body: bytes) -> Page:
    """Parse trades to the same objects as from the WebSocket, with the literal digits of the time."""
    pair = msgspec.json.encode(request.symbol)

    def past(encoded: Raw) -> Past:
        row = _ROW.decode(encoded)
        fields = dict(zip(FIELDS, map(bytes, row), strict=False))
        seconds = _TIME.fullmatch(fields["time"])
        if seconds is None:
            raise ValueError(f"time {fields['time']!r}")
        micros = int(seconds[1]) * 1_000_000 + int((seconds[2] or b"")[:6].ljust(6, b"0"))
        fields["time"] = b'"%b"' % fields["time"]
        return Past(int(row[6]), micros, RawTrade(request.symbol, text({"pair": pair} | fields)))

    def read(said: _Answer) -> Page:
        return page(_ROWS.decode(_rows(said)), past, _LAST.decode(said.result["last"]))

    return answer(_ANSWER, body, read)


def _rows(said: _Answer) -> Raw:
    if said.error:
        raise HistoryError(", ".join(said.error), final=any(error in FINAL for error in said.error))
    (rows,) = (part for name, part in said.result.items() if name != "last")
    return rows


HISTORY = RestHistory(
    requests_a_second=1.0,
    limit=LIMIT,
    parse=parse,
    by_time=by_time,
)


# OHLC: https://docs.kraken.com/api/docs/rest-api/get-ohlc-data. The last row is of the window that is open.

_OHLC = msgspec.json.Decoder(list[tuple[int, Amount, Amount, Amount, Amount, Amount, Amount, int]])
_MINUTES = {"1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "1d": "1440"}


def ohlc(symbol: str, interval: str, first: int, last: int) -> RestRequest:
    """Request the klines after a second before the first open time, in ms; the newest come in any case."""
    query = {"pair": symbol, "interval": interval, "since": str(first // 1000 - 1)}
    return RestRequest(symbol, "", "/0/public/OHLC", query)


def parse_ohlc(body: bytes) -> list[Kline]:
    """Parse klines, oldest first; their vwap is rounded, and left out."""

    def kline(row: Sequence[Any]) -> Kline:
        time, opened, high, low, close, _, volume, count = row
        return Kline.from_strings(time * 1000, (opened, high, low, close, volume), count)

    def read(said: _Answer) -> list[Kline]:
        return list(map(kline, _OHLC.decode(_rows(said))))

    return answer(_ANSWER, body, read)


KLINES = RestKlines(
    timeframes=_MINUTES,
    limit=720,
    newest=720,
    request=ohlc,
    parse=parse_ohlc,
    requests_a_second=0.5,  # one a second in all, which past trades share
)
