"""Candles: `/v1/ohlcv/{exchange}/{symbol}/{timeframe}`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get

from k2stream.history.consolidate import CONSOLIDATED, Consolidated, consolidate
from k2stream.history.derive import largest_limit
from k2stream.history.reader import CandleAnswer, MissingTier
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.service.formats import JSON, WRITTEN, CandleFormat
from k2stream.service.items import (
    CandleItem,
    CandlesAnswer,
    MissingItem,
    candle_item,
    consolidated_item,
)
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
from k2stream.service.sources import Sources
from k2stream.web.query import (
    DEFAULT_LIMIT,
    LARGEST_LIMIT,
    MISSING,
    Query,
    RequestError,
    bounds,
    find,
    timeframe_of,
)

NEXT, SIMULATED = "X-K2-Next", "X-K2-Simulated"


class Found(NamedTuple):
    """A page of candles of one exchange or of all, and the tiers that might have had more."""

    rows: Sequence[Candle] | Sequence[Consolidated]
    candles: Sequence[Candle]
    missing: tuple[MissingTier, ...]
    next: str | None


@get("/v1/ohlcv/{exchange:str}/{symbol:str}/{timeframe:str}")
async def candles(  # noqa: PLR0913 - a query parameter each
    sources: From,
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
    found = await read_page(sources, wanted, exchange, of, page, page.query(extra, fill), final)
    headers = _headers(sources, found)
    if form != "json":
        written = WRITTEN[form]
        content: Any = written.write(found.candles)
        return Response(content, media_type=written.media_type, headers=headers)
    answer = CandlesAnswer(
        exchange,
        wanted[0].canonical,
        None if exchange == CONSOLIDATED else wanted[0].symbol,
        of.name,
        of.zone.key,
        sources.simulated,
        _items(sources, found),
        [MissingItem(*tier) for tier in found.missing],
        None if fill != "none" else found.next,
    )
    content = msgspec.json.encode(answer)
    return Response(content, media_type=JSON, headers=headers)


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


async def read_page(
    sources: Sources,
    wanted: Sequence[Instrument],
    exchange: str,
    of: Timeframe,
    page: CandlePage,
    query: Query,
    final: bool,
) -> Found:
    """The candles of a page, in its order, consolidated if `exchange` is `all`. Raises RequestError."""
    if exchange != CONSOLIDATED:
        answer = await sources.candles.read(wanted[0], of, query)
        rows, following = page.cut(answer.candles, _final(answer.candles, final), query.limit)
        return Found(rows, rows, answer.missing, following)
    answers: list[CandleAnswer] = await asyncio.gather(
        *(sources.candles.read(item, of, query) for item in wanted)
    )
    whole = consolidate(candle for answer in answers for candle in answer.candles)
    kept = {row.candle.open_time: row for row in whole}
    merged = [row.candle for row in whole]
    merged = merged[-query.limit :] if page.leads_back else merged[: query.limit]
    rows, following = page.cut(merged, _final(merged, final), query.limit)
    missing = dict.fromkeys(tier for answer in answers for tier in answer.missing)
    return Found([kept[row.open_time] for row in rows], rows, tuple(missing), following)


def _final(candles: Sequence[Candle], only: bool) -> Sequence[Candle]:
    return [candle for candle in candles if candle.final] if only else candles


def _items(sources: Sources, found: Found) -> list[CandleItem]:
    health = sources.health
    return [
        consolidated_item(row, health) if isinstance(row, Consolidated) else candle_item(row, health)
        for row in found.rows
    ]


def _headers(sources: Sources, found: Found) -> dict[str, str]:
    headers = {SIMULATED: "true"} if sources.simulated else {}
    if found.missing:
        headers[MISSING] = ", ".join(tier.tier for tier in found.missing)
    if found.next:
        headers[NEXT] = found.next
    return headers


ROUTES = (candles,)
