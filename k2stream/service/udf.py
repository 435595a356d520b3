"""`/udf/…`: the data source that TradingView's charting library reads (UDF, its HTTP protocol)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.params import FromQuery, QueryParameter

from k2stream.history.derive import largest_limit
from k2stream.history.timeframes import Timeframe
from k2stream.model import clock
from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.model.instrument import Instrument, Instruments
from k2stream.service import problems
from k2stream.service.mirror.klines import whole
from k2stream.service.overview import price_digits
from k2stream.service.parameters import From
from k2stream.web.query import LARGEST_LIMIT, Query, RequestError, find, timeframe_of

MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
LONGER = {"1D": "1d", "3D": "3d", "1W": "1w", "1M": "1M"}
RESOLUTIONS = [*map(str, MINUTES), *LONGER]
FOUND = 30
"""Symbols that a search finds, unless it says how many."""

KIND = "crypto"
_SAMPLE = 60  # candles from which the digits of a price are seen
_encoder = msgspec.json.Encoder(decimal_format="number")

Seconds = Annotated[int, QueryParameter(ge=0, le=10**10, description="Seconds since 1970.")]
Start = Annotated[int, QueryParameter(name="from", ge=0, le=10**10, description="Seconds since 1970.")]
Count = Annotated[int | None, QueryParameter(ge=1, le=10**6)]


def timeframe(resolution: str) -> Timeframe:
    """The timeframe of a resolution: a number of minutes, or of D, W, M. Raises RequestError 404."""
    if resolution.isascii() and resolution.isdigit():
        minutes = int(resolution[:6])
        return timeframe_of(f"{minutes // 60}h" if minutes and minutes % 60 == 0 else f"{minutes}m")
    count, unit = resolution[:-1] or "1", resolution[-1:]
    return timeframe_of(f"{count}{unit if unit == 'M' else unit.lower()}")


def config(instruments: Instruments) -> dict[str, Any]:
    """What the data source can do."""
    exchanges = dict.fromkeys(item.exchange for item in instruments)
    named = [{"value": name, "name": name, "desc": name} for name in exchanges]
    return {
        "supports_search": True,
        "supports_group_request": False,
        "supports_marks": False,
        "supports_timescale_marks": False,
        "supports_time": True,
        "exchanges": [{"value": "", "name": "All exchanges", "desc": ""}, *named],
        "symbols_types": [{"name": "All types", "value": ""}, {"name": "Crypto", "value": KIND}],
        "supported_resolutions": RESOLUTIONS,
    }


def ticker(instrument: Instrument) -> str:
    """The symbol as the library sends it back: binance:BTC/USDT, which is the key of its records."""
    return instrument.key


def resolve(instruments: Instruments, symbol: str) -> Instrument:
    """The instrument of a ticker; without an exchange, the first one that has it. Raises RequestError 404."""
    exchange, colon, name = symbol.rpartition(":")
    if colon:
        return find(instruments, exchange.lower(), name)
    for item in instruments:
        if instruments.find(item.exchange, name) == item:
            return item
    raise RequestError(404, f"unknown symbol {symbol}")


def described(instrument: Instrument, digits: int) -> dict[str, Any]:
    """The library's description of a symbol whose prices have `digits` fraction digits."""
    return {
        "name": instrument.canonical,
        "ticker": ticker(instrument),
        "description": f"{instrument.canonical} on {instrument.exchange}",
        "type": KIND,
        "session": "24x7",
        "timezone": "Etc/UTC",
        "exchange": instrument.exchange,
        "listed_exchange": instrument.exchange,
        "format": "price",
        "minmov": 1,
        "pricescale": 10**digits,
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": True,
        "intraday_multipliers": [str(minutes) for minutes in MINUTES],
        "supported_resolutions": RESOLUTIONS,
        "volume_precision": 8,
        "data_status": "streaming",
    }


def digits(candles: Iterable[Candle]) -> int:
    """The most fraction digits of the candles' prices, at least 2."""
    return max(2, price_digits(candles))


def matching(instruments: Instruments, query: str, exchange: str) -> list[Instrument]:
    """The instruments of an exchange (or of all) whose symbol contains the letters of a query."""
    letters = _letters(query)
    listed = instruments.for_exchange(exchange.lower()) if exchange else instruments
    return [
        item for item in listed if any(letters in _letters(name) for name in (item.canonical, item.symbol))
    ]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


def bars(candles: Sequence[Candle]) -> dict[str, Any]:
    """Candles as columns; times in seconds, numbers with all their digits."""
    return {
        "s": "ok",
        "t": [each.open_time // 1000 for each in candles],
        **{
            letter: [Decimal(plain(getattr(each, field))) for each in candles]
            for letter, field in zip("ohlcv", ("open", "high", "low", "close", "volume"), strict=True)
        },
    }


@get("/config")
async def udf_config(sources: From) -> dict[str, Any]:
    """What the data source can do, and its exchanges."""
    return config(sources.instruments)


@get("/symbols")
async def udf_symbols(sources: From, symbol: FromQuery[str]) -> dict[str, Any]:
    """The description of one symbol."""
    instrument = resolve(sources.instruments, symbol)
    found = await sources.candles.read(instrument, timeframe_of("1m"), Query(_SAMPLE))
    return described(instrument, digits(found.candles))


@get("/search")
async def udf_search(
    sources: From,
    text: Annotated[str, QueryParameter(name="query")] = "",
    exchange: FromQuery[str] = "",
    kind: Annotated[str, QueryParameter(name="type")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = FOUND,
) -> list[dict[str, str]]:
    """Symbols by a part of their name."""
    found = matching(sources.instruments, text, exchange) if kind in ("", KIND) else []
    return [
        {
            "symbol": item.canonical,
            "full_name": ticker(item),
            "description": f"{item.canonical} on {item.exchange}",
            "exchange": item.exchange,
            "ticker": ticker(item),
            "type": KIND,
        }
        for item in found[:limit]
    ]


@get("/history")
async def udf_history(
    sources: From,
    symbol: FromQuery[str],
    resolution: FromQuery[str],
    start: Start,
    to: Seconds,
    countback: Count = None,
) -> Response[bytes]:
    """Bars with from <= time < to; with `countback`, that many before `to`, whatever `from` is.

    Raises RequestError 400 for a span of more bars than are answered at once.
    """
    instrument, of = resolve(sources.instruments, symbol), timeframe(resolution)
    most = LARGEST_LIMIT if of.is_stored else min(LARGEST_LIMIT, largest_limit(of))
    end = to * 1000
    if countback is None:
        query = Query(most, start * 1000, end) if start < to else None
    else:
        query = Query(min(countback, most), None, end)
    found = whole(await sources.candles.read(instrument, of, query)) if query else []
    following = Query(1, found[-1].close_time + 1, end) if countback is None and len(found) == most else None
    if following and whole(await sources.candles.read(instrument, of, following)):
        raise RequestError(400, f"more than {most} bars are between from and to: give countback")
    answer = bars(found)
    if not found:
        earlier = whole(await sources.candles.read(instrument, of, Query(1, None, min(start, to) * 1000)))
        answer = {"s": "no_data"} | ({"nextTime": earlier[0].open_time // 1000} if earlier else {})
    return Response(_encoder.encode(answer), media_type=MediaType.JSON)


@get("/time", media_type=MediaType.TEXT)
async def udf_time() -> str:
    """The time in seconds since 1970."""
    return str(clock.now_us() // 1_000_000)


def _shown(problem: Callable[..., Response[dict[str, Any]]]) -> Callable[..., Response[dict[str, str]]]:
    """A handler of errors that answers as the library reads it what another answers as a problem document."""

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
        answer = problem(request, error)
        body = {"s": "error", "errmsg": str(answer.content["detail"])}
        return Response(body, status_code=answer.status_code, headers=dict(answer.headers))

    return handle


ROUTES = (
    Router(
        "/udf",
        route_handlers=[udf_config, udf_symbols, udf_search, udf_history, udf_time],
        include_in_schema=False,
        exception_handlers={kind: _shown(handler) for kind, handler in problems.HANDLERS.items()},
    ),
)
