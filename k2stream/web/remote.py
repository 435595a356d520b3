"""Asks another worker for candles, by the page that it serves to users."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from yarl import URL

from k2stream.batch import BatchApp, ask
from k2stream.history.reader import CandleAnswer, MissingTier
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.web.query import Query, RequestError, url_name

_KINDS = Candle.__annotations__
_DECIMALS = {name for name, kind in _KINDS.items() if kind == "Decimal"}


async def read(
    app: BatchApp, worker: URL, instrument: Instrument, of: Timeframe, query: Query
) -> CandleAnswer:
    """The candles that the worker at a base URL answers with.

    Raises RequestError: as the worker gave it, or 502 when it does not answer.
    """
    asked = {"limit": query.limit, "start": query.start, "end": query.end, "tz": of.zone.key}
    asked |= {"fill": query.fill, "source": query.source}
    target = (worker / f"ohlcv/{instrument.exchange}/{url_name(instrument)}/{of.name}").with_query(
        {name: value for name, value in asked.items() if value is not None}
    )
    answer = await ask(app, target)
    body = msgspec.json.decode(answer.body)
    if answer.status != 200:
        raise RequestError(answer.status, body.get("error", f"{worker} refused"))
    return CandleAnswer(
        [_candle(instrument, of.name, fields) for fields in body["candles"]],
        tuple(MissingTier(**tier) for tier in body.get("missing", ())),
    )


def _candle(instrument: Instrument, timeframe: str, fields: dict[str, Any]) -> Candle:
    of = (instrument.exchange, instrument.symbol, instrument.canonical, timeframe)
    return Candle._make((*of, *(_value(name, fields[name]) for name in Candle._fields[len(of) :])))


def _value(name: str, value: Any) -> Any:
    if value is None:
        return 0  # a filled window has no trades
    return Decimal(value) if name in _DECIMALS else value
