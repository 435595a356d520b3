"""Candles: `/v1/ohlcv/{exchange}/{symbol}/{timeframe}`."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.types import Scope

from k2stream.history.consolidate import CONSOLIDATED
from k2stream.history.derive import largest_limit
from k2stream.model.instrument import Instrument
from k2stream.service.candle_answers import CandlesAsked
from k2stream.service.formats import CandleFormat
from k2stream.service.items import CandlesAnswer
from k2stream.service.paging import OPEN_WINDOWS, CandlePage
from k2stream.service.parameters import (
    Bound,
    Cursor,
    ExchangeOrAll,
    Fill,
    Final,
    From,
    Limit,
    Order,
    Symbol,
    TimeframeName,
    Zone,
)
from k2stream.service.prepared import prepare
from k2stream.service.sources import Sources
from k2stream.web.query import (
    DEFAULT_LIMIT,
    LARGEST_LIMIT,
    RequestError,
    bounds,
    find,
    timeframe_of,
)


@get("/v1/ohlcv/{exchange:str}/{symbol:str}/{timeframe:str}")
async def candles(  # noqa: PLR0913 - a query parameter each
    sources: From,
    scope: Scope,
    exchange: ExchangeOrAll,
    symbol: Symbol,
    timeframe: TimeframeName,
    start: Bound = None,
    end: Bound = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    order: Order = "asc",
    fill: Fill = "none",
    final: Final = False,
    zone: Zone = "UTC",
    form: CandleFormat = "json",
) -> Response[CandlesAnswer]:
    """Candles of a symbol in any timeframe, from the tables, ClickHouse and Iceberg."""
    wanted = instruments_of(sources, exchange, symbol)
    of = timeframe_of(timeframe, zone)
    if fill != "none" and (cursor or exchange == CONSOLIDATED):
        raise RequestError(400, "fill=prev is for one exchange, without cursor: use start and end")
    largest = LARGEST_LIMIT if of.is_stored else min(LARGEST_LIMIT, largest_limit(of))
    page = CandlePage(min(limit, largest), *bounds(start, end), order == "desc").at(cursor)
    extra = min(OPEN_WINDOWS, largest - page.limit) if final else 0
    asked = CandlesAsked(sources, exchange, wanted, of, page, page.query(extra, fill), final, form)
    answer = await asked.answer()
    prepare(scope, asked)
    content: Any = answer.body
    return Response(content, headers=answer.headers)


def instruments_of(sources: Sources, exchange: str, symbol: str) -> list[Instrument]:
    """The instruments of a path; several of exchange `all`. Raises RequestError 404."""
    if exchange != CONSOLIDATED:
        return [find(sources.instruments, exchange, symbol)]
    names = dict.fromkeys(item.exchange for item in sources.instruments)
    alike = [item for name in names if (item := sources.instruments.find(name, symbol)) is not None]
    canonical = {item.canonical for item in alike}
    if len(canonical) == 1:
        return alike
    known = dict.fromkeys(item.canonical.replace("/", "-") for item in sources.instruments)
    raise RequestError(404, f"no exchange has the symbol {symbol} here", symbols=list(known))


ROUTES = (candles,)
