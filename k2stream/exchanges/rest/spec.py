"""Requests for an exchange's past trades and parsing of the responses: a frozen value of pure functions.

klines.py is the same for its candles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from k2stream.model.errors import UNREADABLE, Unavailable
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade, Reject

Read = TypeVar("Read")

_FINAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}  # no key is ever sent


class HistoryError(Unavailable):
    """An error response, as one line; `final` if the same request will never succeed.

    `retry_after` is the number of seconds that the exchange asks to wait, 0 if it does not say.
    """

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(" ".join(text.split())[:300])
        self.final = final
        self.retry_after = 0.0


class RestRequest(NamedTuple):
    """A GET about one native symbol; `numbering` as in TradeColumns."""

    symbol: str
    numbering: str
    path: str
    query: Mapping[str, str]


class Past(NamedTuple):
    """A trade as the exchange's WebSocket would have sent it, with its id and its time (µs, truncated)."""

    id: int
    time: int
    trade: RawTrade


class Page(NamedTuple):
    """The trades of one response, oldest first; `next` is the time (ns since 1970) of the next request.

    `rejects` are the rows that cannot be read.
    """

    trades: Sequence[Past]
    next: int = 0
    rejects: Sequence[Reject] = ()

    @property
    def rows(self) -> int:
        """Return the number of rows, by which a full response is told."""
        return len(self.trades) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class RestHistory:
    """An exchange's past trades, requested by id if the exchange has ids, otherwise by time."""

    requests_a_second: float
    """Request rate, below the documented limit, which applies to all clients of an IP address together."""

    limit: int
    """The most trades in a response."""

    parse: Callable[[RestRequest, bytes], Page]
    """Parses the trades of a response; raises HistoryError that describes any other response.

    A row that cannot be read is one of the page's rejects: it must not keep the others waiting.
    """

    by_id: Callable[[str, str, int, int], RestRequest] | None = None
    """Returns the request for (symbol, numbering, first id, last id); at most `limit` ids.

    The response may contain other trades too.
    """

    upward: bool = True
    """Whether a full response by id starts at the first id; otherwise it ends at the last id."""

    numbering: Callable[[Instrument], str] = lambda instrument: ""
    """Returns the numbering of an instrument's trades, as in TradeColumns."""

    newest: Callable[[str, str], RestRequest] | None = None
    """Returns the request for the newest trade of (symbol, numbering), of an exchange with ids."""

    by_time: Callable[[str, int], RestRequest] | None = None
    """Returns the request for trades after a time, oldest first, by (symbol, ns since 1970)."""


_LONGEST = 500
"""Characters of an answer that an error repeats."""


def refusal(status: int, body: bytes) -> HistoryError:
    """Create the error for a response with an HTTP status of 400 or above.

    It is final only if the exchange itself gives the reason: a proxy in between may refuse anything.
    """
    try:
        said = msgspec.json.decode(body)
    except UNREADABLE:
        said = body.decode(errors="replace").strip()
    if isinstance(said, str):
        said = said[:_LONGEST]
    words = (said.get("msg") or said.get("message")) if isinstance(said, dict) else None
    final = status in _FINAL and words is not None
    return HistoryError(f"HTTP {status}: {words or said or 'no text'}", final=final)


def answer(decoder: msgspec.json.Decoder[Any], body: bytes, read: Callable[[Any], Read]) -> Read:
    """Decode a response and apply `read`. Raises HistoryError if it does not have the documented shape."""
    try:
        return read(decoder.decode(body))
    except (*UNREADABLE, LookupError) as error:
        start = body[:80].decode(errors="replace")
        raise HistoryError(f"not the documented answer: {error!r}; it begins {start!r}") from error


def page(rows: Iterable[Raw], past: Callable[[Raw], Past], next_: int = 0) -> Page:
    """Read the rows of a response one by one; those for which `past` fails are the page's rejects."""
    trades, rejects = [], []
    for row in rows:
        try:
            trades.append(past(row))
        except (*UNREADABLE, LookupError) as error:
            rejects.append(Reject(" ".join(repr(error).split())[:200], bytes(row)))
    return Page(trades, next_, rejects)


def text(fields: Mapping[str, bytes]) -> bytes:
    """Return a JSON object of literal values."""
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in fields.items())
