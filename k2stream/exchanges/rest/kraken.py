"""Kraken: https://docs.kraken.com/api/docs/rest-api/get-recent-trades"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from k2stream.exchanges.rest.spec import HistoryError, Page, Past, RestHistory, RestRequest, answer, text
from k2stream.model.trade import RawTrade

LIMIT = 1000
FINAL = ("EQuery:Unknown asset pair", "EGeneral:Invalid arguments")

FIELDS = ("price", "volume", "time", "side", "orderType", "misc")
_TIME = re.compile(rb"([0-9]{1,10})(?:\.([0-9]+))?")


class _Answer(Struct, gc=False):
    error: list[str]
    result: dict[str, Raw] = {}


_ANSWER = msgspec.json.Decoder(_Answer)
_ROWS = msgspec.json.Decoder(list[list[Raw]])
_LAST = msgspec.json.Decoder(int, strict=False)


def by_time(symbol: str, since_ns: int) -> RestRequest:
    """Request trades after a time, oldest first; the pair has the same name as on the WebSocket."""
    query = {"pair": symbol, "since": str(since_ns), "count": str(LIMIT)}
    return RestRequest(symbol, "", "/0/public/Trades", query)


def parse(request: RestRequest, body: bytes) -> Page:
    """Parse trades to the same objects as from the WebSocket, with the literal digits of the time."""
    pair = msgspec.json.encode(request.symbol)

    def past(row: Sequence[Raw]) -> Past:
        fields = dict(zip(FIELDS, map(bytes, row), strict=False))
        seconds = _TIME.fullmatch(fields["time"])
        if seconds is None:
            raise ValueError(f"time {fields['time']!r}")
        micros = int(seconds[1]) * 1_000_000 + int((seconds[2] or b"")[:6].ljust(6, b"0"))
        fields["time"] = b'"%b"' % fields["time"]
        return Past(int(row[6]), micros, RawTrade(request.symbol, text({"pair": pair} | fields)))

    def page(said: _Answer) -> Page:
        if said.error:
            raise HistoryError(", ".join(said.error), final=any(error in FINAL for error in said.error))
        (rows,) = (part for name, part in said.result.items() if name != "last")
        return Page([past(row) for row in _ROWS.decode(rows)], _LAST.decode(said.result["last"]))

    return answer(_ANSWER, body, page)


HISTORY = RestHistory(
    requests_a_second=1.0,
    limit=LIMIT,
    parse=parse,
    by_time=by_time,
)
