"""Klines: candles as the twelve-element arrays of the mirrored API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k2stream.history.reader import CandleAnswer
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.mirror.values import fixed, name
from k2stream.web.query import Query, RequestError

Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]


def query(sent: Parameters) -> Query | None:
    """The candles that a request asks for, both ends included; None if its end is before its start.

    Quiet windows of a healthy feed are sent as the API sends them: the previous close, without volume.
    """
    start, end, limit = sent.time("startTime"), sent.time("endTime"), sent.limit()
    if start is not None and end is not None and end < start:
        return None
    return Query(limit, start, None if end is None else end + 1, fill="prev")


def whole(found: CandleAnswer) -> Sequence[Candle]:
    """The candles of an answer: arrays cannot say more. Raises RequestError 503 if some may lack."""
    if found.missing:
        raise RequestError(503, f"{found.missing[0].tier} does not have all candles, ask again")
    return found.candles


def kline(candle: Candle) -> Kline:
    """One candle; times in ms, decimals as strings, the last element unused as in the API."""
    return (
        candle.open_time,
        fixed(candle.open),
        fixed(candle.high),
        fixed(candle.low),
        fixed(candle.close),
        fixed(candle.volume),
        candle.close_time,
        fixed(candle.quote_volume),
        candle.trade_count,
        fixed(candle.taker_buy_volume),
        fixed(candle.taker_buy_quote_volume),
        "0",
    )


def event(instrument: Instrument, candle: Candle, interval: str, now: int) -> dict[str, Any]:
    """The payload of `@kline_…` at `now` (ms). Candles do not say the ids of their trades: both are -1."""
    symbol = name(instrument)
    return {
        "e": "kline",
        "E": now,
        "s": symbol,
        "k": {
            "t": candle.open_time,
            "T": candle.close_time,
            "s": symbol,
            "i": interval,
            "f": -1,
            "L": -1,
            "o": fixed(candle.open),
            "c": fixed(candle.close),
            "h": fixed(candle.high),
            "l": fixed(candle.low),
            "v": fixed(candle.volume),
            "n": candle.trade_count,
            "x": candle.final,
            "q": fixed(candle.quote_volume),
            "V": fixed(candle.taker_buy_volume),
            "Q": fixed(candle.taker_buy_quote_volume),
            "B": "0",
        },
    }
