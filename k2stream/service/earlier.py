"""The paths of earlier releases, whose answers keep their shape: `/ohlcv/…` and `/instruments`."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request, Response, get

from k2stream.history.derive import largest_limit
from k2stream.service.candle_answers import SIMULATED
from k2stream.service.formats import JSON
from k2stream.service.parameters import Exchange, From, Symbol, TimeframeName
from k2stream.service.sources import Sources
from k2stream.web import render
from k2stream.web.query import LARGEST_LIMIT, MISSING, RequestError, find, parse, timeframe_of


@get("/ohlcv/{exchange:str}/{symbol:str}/{timeframe:str}", include_in_schema=False)
async def ohlcv(
    sources: From,
    request: Request[Any, Any, Any],
    exchange: Exchange,
    symbol: Symbol,
    timeframe: TimeframeName,
) -> Response[bytes]:
    """Candles as earlier releases answer; see `/v1/ohlcv`."""
    try:
        instrument = find(sources.instruments, exchange, symbol)
        of = timeframe_of(timeframe, request.query_params.get("tz", "UTC"))
        largest = max(LARGEST_LIMIT, sources.settings.candles.retention + 2)
        query = parse(request.query_params, largest if of.is_stored else min(largest, largest_limit(of)))
        found = await sources.candles.read(instrument, of, query)
    except RequestError as error:
        return _answer(sources, render.error(error.body, sources.simulated), error.status)
    missing = ", ".join(tier.tier for tier in found.missing)
    if query.format == "ccxt":
        return _answer(sources, render.ccxt(found.candles), missing=missing)
    healthy = sources.health.checker(exchange, instrument.symbol)
    reason = partial(sources.health.reason, exchange, instrument.symbol)
    body = render.body(instrument, of, found.candles, sources.simulated, found.missing, healthy, reason)
    return _answer(sources, body, missing=missing)


@get("/instruments", include_in_schema=False)
async def instruments(sources: From) -> Response[bytes]:
    """The symbols, as earlier releases list them; see `/v1/symbols`."""
    return _answer(sources, render.listing(sources.instruments, sources.simulated))


def _answer(sources: Sources, body: bytes, status: int = 200, missing: str = "") -> Response[bytes]:
    headers = {SIMULATED: "true"} if sources.simulated else {}
    if missing:
        headers[MISSING] = missing
    return Response(body, status_code=status, media_type=JSON, headers=headers)


ROUTES = (ohlcv, instruments)
