"""Web pages of a candles worker: `/ohlcv/{exchange}/{symbol}/{timeframe}` and `/instruments`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from k2stream import topics
from k2stream.app import App
from k2stream.batch import forward, is_ready, owner
from k2stream.candles.partition import CandlePartition
from k2stream.history.derive import largest_limit
from k2stream.model.instrument import Instruments
from k2stream.settings import Settings
from k2stream.tables.ohlcv import CandleTables
from k2stream.web import render
from k2stream.web.candles import CandleReader
from k2stream.web.health import FeedHealth
from k2stream.web.query import LARGEST_LIMIT, MISSING, RequestError, find, parse, timeframe_of

_JSON = "application/json"


def add_pages(
    app: App,
    tables: CandleTables,
    partitions: Mapping[int, CandlePartition],
    instruments: Instruments,
    settings: Settings,
    health: FeedHealth,
    reader: CandleReader,
) -> None:
    """Add the pages, which serve the candles that `reader` reads.

    `partitions` are the partitions of this worker, by number; the owner of another one is found by `tables`.
    """
    largest = max(LARGEST_LIMIT, settings.candles.retention + 2)
    common = {"X-K2-Simulated": "true"} if settings.feeds.simulated else {}

    def answer(view: Any, data: bytes, status: int = 200, missing: str = "") -> Any:
        headers = {**common, MISSING: missing} if missing else dict(common)
        return view.bytes(data, content_type=_JSON, status=status, headers=headers)

    async def ohlcv(view: Any, request: Any, exchange: str, symbol: str, timeframe: str) -> Any:
        try:
            instrument = find(instruments, exchange, symbol)
            asked = timeframe_of(timeframe, request.query.get("tz", "UTC"))
            query = parse(request.query, largest if asked.is_stored else min(largest, largest_limit(asked)))
            if not is_ready(app):
                raise RequestError(503, "the tables of this worker are recovering, ask again")
            number = topics.partition_of(instrument.symbol, settings.kafka.raw_partitions(exchange))
            if number not in partitions:
                url = owner(app, tables.windows[asked.base], number)
                there = await forward(app, request, url)
                return answer(view, there.body, there.status, there.headers.get(MISSING, ""))
            found, tiers, _ = await reader.read(partitions[number], instrument, asked, query)
            missing = ", ".join(item.tier for item in tiers)
            if query.format == "ccxt":
                return answer(view, render.ccxt(found), missing=missing)
            healthy = health.checker(exchange, instrument.symbol)
            reason = partial(health.reason, exchange, instrument.symbol)
            body = render.body(instrument, asked, found, settings.feeds.simulated, tiers, healthy, reason)
            return answer(view, body, missing=missing)
        except RequestError as error:
            return answer(view, render.error(error.body, settings.feeds.simulated), error.status)

    async def listing(view: Any, request: Any) -> Any:
        return answer(view, render.listing(instruments, settings.feeds.simulated))

    app.page("/ohlcv/{exchange}/{symbol}/{timeframe}", name="ohlcv")(ohlcv)
    app.page("/instruments", name="instruments")(listing)
