"""A candles worker as a source, over its REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, get_type_hints
from urllib.parse import quote

import httpx
import msgspec
import pyarrow as pa

from k2stream.history.derive import largest_limit
from k2stream.history.reader import MissingTier
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import GOLD, SILVER
from k2stream.model.candle import Candle
from k2stream.model.errors import UNREADABLE, ConfigError, Unavailable
from k2stream.model.instrument import Instrument, Instruments
from k2stream.read.columns import HEALTH
from k2stream.read.source import RowPage

PAGE_SIZE = 5000
"""The most candles or trades that a worker returns at once."""

ANSWER_SECONDS = 60.0
MISSING = "X-K2-Missing"
"""The header that names the tiers that a worker could not read."""

NEXT = "X-K2-Next"
"""The header with the cursor of the next page; absent at the end."""

T = TypeVar("T")


_NAMED = ("exchange", "symbol", "canonical_symbol", "timeframe")
"""Fields of a candle that an answer says once, of all."""

_Entry = msgspec.defstruct(
    "_Entry",
    [
        *((name, kind) for name, kind in get_type_hints(Candle).items() if name not in _NAMED),
        (HEALTH.name, bool | None, None),
    ],
)


class _Answer(msgspec.Struct):
    candles: list[_Entry]  # type: ignore[valid-type]
    missing: list[MissingTier] = []
    simulated: bool = False


class _Listed(msgspec.Struct):
    exchange: str
    symbol: str
    canonical_symbol: str


class _Listing(msgspec.Struct):
    instruments: list[_Listed]
    simulated: bool = False


class RestSource:
    """The worker at a base URL."""

    def __init__(self, url: str, connection: Mapping[str, Any]) -> None:
        """`connection` has arguments of httpx's client: the key, and whose certificates are trusted."""
        self.where = url.rstrip("/")
        self.simulated: bool | None = None
        self._client = httpx.Client(timeout=ANSWER_SECONDS, **connection)
        self._arrow = True

    def instruments(self) -> Instruments:
        """The instruments that the platform has."""
        listing = self._get("/instruments", {}, _Listing)
        self.simulated = listing.simulated
        return Instruments(
            Instrument(item.exchange, item.symbol, item.canonical_symbol) for item in listing.instruments
        )

    def page_size(self, timeframe: Timeframe) -> int:
        """As many as the worker returns at once."""
        return PAGE_SIZE if timeframe.is_stored else min(PAGE_SIZE, largest_limit(timeframe))

    def candles(
        self, instrument: Instrument, timeframe: Timeframe, span: CandleSpan, health: bool
    ) -> RowPage:
        """Candles of the tables, and of the colder tiers that the worker reads."""
        symbol = quote(instrument.canonical.replace("/", "-"), safe="")
        path = f"/ohlcv/{instrument.exchange}/{symbol}/{timeframe.name}"
        asked: dict[str, str | int] = {"limit": span.limit, "tz": timeframe.zone.key}
        times = {"start": span.start, "end": span.end}
        asked |= {name: time for name, time in times.items() if time is not None}
        if self._arrow and not health:
            answer = self._answer("/v1" + path, {**asked, "format": "arrow"})
            if answer.status_code != HTTPStatus.NOT_FOUND:
                return self._rows(answer)
            self._arrow = False  # the web server of a worker, which knows the older route only
        return _page(self._get(path, asked, _Answer), instrument, timeframe)

    def _rows(self, answer: httpx.Response) -> RowPage:
        with pa.ipc.open_stream(self._checked(answer).content) as stream:
            rows = stream.read_all().cast(GOLD)
        return RowPage(rows.append_column(HEALTH, pa.nulls(len(rows), HEALTH.type)), self._missing(answer))

    def _missing(self, answer: httpx.Response) -> tuple[MissingTier, ...]:
        names = filter(None, answer.headers.get(MISSING, "").split(", "))
        return tuple(MissingTier(name, f"{self.where} could not read it") for name in names)

    def trades(self, instrument: Instrument, start: int, end: int | None) -> Iterator[RowPage]:
        """The trades with start <= timestamp < end (ms), in order, in at least one page."""
        symbol = quote(instrument.canonical.replace("/", "-"), safe="")
        asked: dict[str, str | int] = {"start": start, "limit": PAGE_SIZE, "format": "arrow"}
        if end is not None:
            asked["end"] = end
        cursor: str | None = ""
        while cursor is not None:
            given = {**asked, "cursor": cursor} if cursor else asked
            answer = self._checked(self._answer(f"/v1/trades/{instrument.exchange}/{symbol}", given))
            with pa.ipc.open_stream(answer.content) as stream:
                yield RowPage(stream.read_all().cast(SILVER), self._missing(answer))
            cursor = answer.headers.get(NEXT)

    def _get(self, path: str, parameters: dict[str, str | int], kind: type[T]) -> T:
        answer = self._checked(self._answer(path, parameters))
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except UNREADABLE as error:
            raise ConfigError(
                f"{self.where}{path} is not a candles worker's: {error}; correct url="
            ) from None

    def _answer(self, path: str, parameters: dict[str, str | int]) -> httpx.Response:
        try:
            return self._client.get(self.where + path, params=parameters)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"no answer from {self.where}: {error}; start a candles worker, or correct url="
            ) from None

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        said = f"{answer.url} answered {answer.status_code}: {_why(answer)}"
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(said)
        if answer.is_error:
            raise ConfigError(said)
        return answer


def _page(answer: _Answer, instrument: Instrument, timeframe: Timeframe) -> RowPage:
    named = (instrument.exchange, instrument.symbol, instrument.canonical, timeframe.name)
    candles = [
        Candle(*named, *(getattr(entry, name) for name in Candle._fields[len(_NAMED) :]))
        for entry in answer.candles
    ]
    healthy = pa.array([getattr(entry, HEALTH.name) for entry in answer.candles], HEALTH.type)
    return RowPage(candle_rows(candles).append_column(HEALTH, healthy), tuple(answer.missing))


def _why(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:500]
