"""The pages of a candles worker: `/ohlcv/{exchange}/{symbol}/{timeframe}` and `/instruments`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faust

from k2stream import topics
from k2stream.app import is_ready
from k2stream.candle import Candle
from k2stream.candles.partition import Partition
from k2stream.candles.state import to_candle
from k2stream.instruments import Instrument, Instruments
from k2stream.settings import Settings
from k2stream.tables.ohlcv import CandleTables
from k2stream.web import render
from k2stream.web.gaps import FeedGaps
from k2stream.web.query import Query, RequestError, find, parse
from k2stream.web.routing import forward, owner

_JSON = "application/json"
LARGEST_LIMIT = 5000


def add_pages(
    app: faust.App,
    tables: CandleTables,
    partitions: Mapping[int, Partition],
    instruments: Instruments,
    settings: Settings,
    gaps: FeedGaps,
) -> None:
    """Serve the candles of `tables`; `partitions` are those of this worker, by number."""
    largest = max(LARGEST_LIMIT, settings.candle_retention + 2)
    marks = {"X-K2-Simulated": "true"} if settings.simulated else {}

    def answer(view: Any, data: bytes, status: int = 200) -> Any:
        return view.bytes(data, content_type=_JSON, status=status, headers=dict(marks))

    async def ohlcv(view: Any, request: Any, exchange: str, symbol: str, timeframe: str) -> Any:
        try:
            instrument = find(instruments, exchange, symbol, timeframe)
            query = parse(request.query, largest)
            if not is_ready(app):
                raise RequestError(503, "the tables of this worker are recovering, ask again")
            number = topics.partition_of(instrument.symbol, settings.raw_partitions(exchange))
            if number not in partitions:
                url = owner(app, tables.windows[timeframe], number)
                status, data = await forward(app, request, url)
                return answer(view, data, status)
            found = candles(partitions[number], instrument, timeframe, query)
            if query.format == "ccxt":
                return answer(view, render.ccxt(found))
            return answer(view, render.body(instrument, timeframe, found, settings.simulated))
        except RequestError as error:
            return answer(view, render.error(error.body, settings.simulated), error.status)

    def candles(partition: Partition, instrument: Instrument, timeframe: str, query: Query) -> list[Candle]:
        states = partition.states(timeframe, instrument.key, query.select)
        found = [
            to_candle(state, instrument.key, instrument.symbol, timeframe, open_time)
            for open_time, state in states
        ]
        if query.fill == "none":
            return found
        if not gaps.ready:
            raise RequestError(503, "the feed events, which fill needs, are being read, ask again")
        return render.fill_previous(found, query, gaps.of(instrument.exchange, instrument.symbol))

    async def listing(view: Any, request: Any) -> Any:
        return answer(view, render.listing(instruments, settings.simulated))

    app.page("/ohlcv/{exchange}/{symbol}/{timeframe}", name="ohlcv")(ohlcv)
    app.page("/instruments", name="instruments")(listing)
