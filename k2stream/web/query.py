"""Parses requests: the instrument and timeframe of a path, and the parameters of a candle query."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import USUAL, Timeframe, UnknownTimeframe, timeframe
from k2stream.model import clock
from k2stream.model.errors import RequestError as RequestError
from k2stream.model.instrument import Instrument, Instruments
from k2stream.topics import EXCHANGES

T = TypeVar("T")

DEFAULT_LIMIT, LARGEST_LIMIT = 500, 5000
FORMATS = ("json", "ccxt")
FILLS = ("none", "prev")
SOURCES = ("all", "tables")
_PARAMETERS = ("limit", "start", "end", "fill", "format", "source", "tz")

MISSING = "X-K2-Missing"
"""Response header with the tiers that could not be read, also for formats whose body cannot list them."""


class Query(NamedTuple):
    """Candles with start <= open_time < end (ms): the first `limit` if a start is given, else the last.

    `source` "tables" excludes the colder tiers.
    """

    limit: int = DEFAULT_LIMIT
    start: int | None = None
    end: int | None = None
    fill: str = "none"
    format: str = "json"
    source: str = "all"

    @property
    def span(self) -> CandleSpan:
        """The span to read from each tier."""
        return CandleSpan(self.limit, self.start, self.end)

    def over(self, span: CandleSpan) -> Query:
        """The same query over another span."""
        return self._replace(limit=span.limit, start=span.start, end=span.end)

    def before(self, end: int) -> Query:
        """The query with default end `end` (ms), so that trades dated in the future are not the latest."""
        return self if self.end is not None else self._replace(end=end)

    def select(self, open_times: Sequence[int]) -> Sequence[int]:
        """The open times that the query covers, of ascending ones in ms."""
        first = 0 if self.start is None else bisect_left(open_times, self.start)
        last = len(open_times) if self.end is None else bisect_left(open_times, self.end)
        return self.limited(open_times[first:last])

    def limited(self, items: Sequence[T]) -> Sequence[T]:
        """The first or last `limit` of ascending items, depending on whether a start is given."""
        return items[-self.limit :] if self.start is None else items[: self.limit]


def parse(parameters: Mapping[str, str], largest: int) -> Query:
    """Parse URL parameters; times are ms since 1970 or ISO 8601 (UTC unless they have an offset).

    `largest` is the upper limit of `limit`. Raises RequestError 400 naming the parameter.
    """
    for name in parameters:
        if name not in _PARAMETERS:
            raise RequestError(400, f"{name} is not a parameter", parameters=_PARAMETERS)
    start, end = bounds(parameters.get("start"), parameters.get("end"))
    return Query(
        _limit(parameters.get("limit", str(min(DEFAULT_LIMIT, largest))), largest),
        start,
        end,
        _choice(parameters, "fill", FILLS),
        _choice(parameters, "format", FORMATS),
        _choice(parameters, "source", SOURCES),
    )


def timeframe_of(name: str, zone: str = "UTC") -> Timeframe:
    """The timeframe of a path, in the time zone of parameter `tz`. Raises RequestError 404."""
    try:
        return timeframe(name, zone)
    except UnknownTimeframe as error:
        raise RequestError(404, str(error), timeframes=list(USUAL)) from None


def find(instruments: Instruments, exchange: str, symbol: str) -> Instrument:
    """The instrument of a path; `symbol` is canonical (BTC-USDT or BTC/USDT) or native.

    Raises RequestError 404 that lists the existing ones.
    """
    if exchange not in EXCHANGES:
        raise RequestError(404, f"unknown exchange {exchange}", exchanges=EXCHANGES)
    found = instruments.find(exchange, symbol)
    if found is None:
        symbols = [url_name(item) for item in instruments.for_exchange(exchange)]
        raise RequestError(404, f"{exchange} has no symbol {symbol} here", symbols=symbols)
    return found


def url_name(instrument: Instrument) -> str:
    """The symbol in URLs: BTC-USDT for BTC/USDT."""
    return instrument.canonical.replace("/", "-")


def example(base: str, listed: Instruments) -> str:
    """An example URL: the candles of the first listed instrument."""
    first = listed[0]
    return f"{base}/v1/ohlcv/{first.exchange}/{url_name(first)}/1m"


def _limit(text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest):
        raise RequestError(400, f"limit={text} must be a whole number from 1 to {largest}")
    return int(text)


def _choice(parameters: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = parameters.get(name, choices[0])
    if value not in choices:
        raise RequestError(400, f"{name}={value} must be one of {', '.join(choices)}")
    return value


def bounds(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Both bounds of a range of time in ms since 1970. Raises RequestError 400 if it is empty."""
    first, last = time_of("start", start), time_of("end", end)
    if first is not None and last is not None and first >= last:
        raise RequestError(400, f"start {start} is not before end {end}")
    return first, last


def time_of(name: str, text: str | None) -> int | None:
    """A time in ms since 1970, of a parameter's text. Raises RequestError 400 naming the parameter."""
    if text is None:
        return None
    try:
        time = clock.parse_time(text)
    except (ValueError, OverflowError):
        raise RequestError(400, f"{name}={text} must be ms since 1970 or ISO 8601") from None
    if not 0 <= time * 1000 < clock.TIME_LIMIT:
        raise RequestError(400, f"{name}={text} must be a time from 1970 to 2286")
    return time
