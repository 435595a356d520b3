"""Klines: candles as the twelve-element arrays of the mirrored API."""

from __future__ import annotations

from k2stream.model.candle import Candle
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.mirror.values import fixed
from k2stream.web.query import Query

Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]


def query(sent: Parameters) -> Query | None:
    """The candles that a request asks for, both ends included; None if its end is before its start.

    Quiet windows of a healthy feed are sent as the API sends them: the previous close, without volume.
    """
    start, end, limit = sent.time("startTime"), sent.time("endTime"), sent.limit()
    if start is not None and end is not None and end < start:
        return None
    return Query(limit, start, None if end is None else end + 1, fill="prev")


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
