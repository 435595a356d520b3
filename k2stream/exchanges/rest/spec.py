"""How an exchange's past trades are asked for and what its answers say: a frozen value of pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from k2stream.model.errors import Unavailable
from k2stream.model.instrument import Instrument
from k2stream.model.trade import RawTrade

_FINAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}


class HistoryError(Unavailable):
    """An answer without trades, as one line; `final` when the same request will never have another."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(" ".join(text.split())[:300])
        self.final = final


class RestRequest(NamedTuple):
    """A GET for the trades of one native symbol; `numbering` as in TradeColumns."""

    symbol: str
    numbering: str
    path: str
    query: Mapping[str, str]


class Past(NamedTuple):
    """A trade as the exchange's socket would have said it, its id and its time (µs, digits below cut off)."""

    id: int
    time: int
    trade: RawTrade


class Page(NamedTuple):
    """One answer's trades, oldest first; `next` is where a request by time goes on (ns since 1970)."""

    trades: Sequence[Past]
    next: int = 0


@dataclass(frozen=True, slots=True)
class RestHistory:
    """Past trades of an exchange. An exchange with ids is asked by them, one without by time."""

    requests_a_second: float
    """Below the limit that the exchange documents, which holds for an address with all that runs there."""

    limit: int
    """The most trades of an answer."""

    parse: Callable[[RestRequest, bytes], Page]
    """The trades of an answer; raises HistoryError naming what it is instead."""

    by_id: Callable[[str, str, int, int], RestRequest] | None = None
    """For (symbol, numbering, first id, last id): at most `limit` ids. Others may be in the answer."""

    upward: bool = True
    """Whether such an answer goes up from the first id until it is full; else down from the last."""

    numbering: Callable[[Instrument], str] = lambda instrument: ""
    """The numbering that an instrument's trades are of, as in TradeColumns."""

    newest: Callable[[str, str], RestRequest] | None = None
    """For (symbol, numbering): the newest trade, of an exchange with ids."""

    by_time: Callable[[str, int], RestRequest] | None = None
    """For (symbol, ns since 1970): trades after that time, the oldest of them first."""


def refusal(status: int, body: bytes) -> HistoryError:
    """What an answer with an HTTP status of 400 or above says.

    It is final only in the exchange's own words: a proxy on the way may refuse anything.
    """
    try:
        said = msgspec.json.decode(body)
    except ValueError:
        said = body.decode(errors="replace").strip()
    words = (said.get("msg") or said.get("message")) if isinstance(said, dict) else None
    final = status in _FINAL and words is not None
    return HistoryError(f"HTTP {status}: {words or said or 'no text'}", final=final)


def answer(decoder: msgspec.json.Decoder[Any], body: bytes, read: Callable[[Any], Page]) -> Page:
    """What `read` makes of a decoded answer; raises HistoryError when it is not of the documented shape."""
    try:
        return read(decoder.decode(body))
    except (ValueError, LookupError, RecursionError) as error:
        start = body[:80].decode(errors="replace")
        raise HistoryError(f"not the documented answer: {error!r}; it begins {start!r}") from error


def text(fields: Mapping[str, bytes]) -> bytes:
    """A JSON object of literal values."""
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in fields.items())
