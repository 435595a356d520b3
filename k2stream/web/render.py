"""Renders candles as JSON: decimals exact, ascending by open time, quiet windows filled on request."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from k2stream.history.reader import MissingTier
from k2stream.history.tiers import UnknownRange
from k2stream.history.timeframes import Timeframe
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.decimals import plain
from k2stream.model.instrument import Instrument, Instruments
from k2stream.web.health import Healthy, Reason
from k2stream.web.query import Query, url_name

_encoder = msgspec.json.Encoder(decimal_format="number")
_ZERO = Decimal(0)
_OF_TRADES = ("first_trade_time", "last_trade_time", "raw_partition", "raw_offset")


def body(
    instrument: Instrument,
    timeframe: Timeframe,
    candles: Sequence[Candle],
    simulated: bool,
    missing: Sequence[MissingTier] = (),
    healthy: Healthy = lambda start, end: None,
    reason: Reason = lambda start, end: None,
) -> bytes:
    """The JSON answer; decimals are strings, times as in Candle (ms, trade times µs).

    It lists the `missing` tiers, which might have had more candles. `feed_healthy` of a candle says whether
    the feed was up and lost nothing during its window so far, null if that is unknown, and `feed_reason` why
    it was not.
    """
    answer: dict[str, Any] = {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "canonical_symbol": instrument.canonical,
        "timeframe": timeframe.name,
        "candles": [_fields(candle, healthy, reason) for candle in candles],
    }
    if timeframe.zone.key != "UTC":
        answer["tz"] = timeframe.zone.key
    if missing:
        answer["missing"] = [tier._asdict() for tier in missing]
    return _encoder.encode({"simulated": True, **answer} if simulated else answer)


def ccxt(candles: Sequence[Candle]) -> bytes:
    """The ccxt format [[open time in ms, open, high, low, close, volume], …], with exact numbers."""
    return _encoder.encode(
        [[c.open_time, *map(_plain, (c.open, c.high, c.low, c.close, c.volume))] for c in candles]
    )


def error(fields: dict[str, Any], simulated: bool) -> bytes:
    """The JSON body of a refused request."""
    return _encoder.encode({"simulated": True, **fields} if simulated else fields)


def listing(instruments: Instruments, simulated: bool) -> bytes:
    """The instruments, and the timeframes of their candles."""
    items = [
        {
            "exchange": item.exchange,
            "symbol": item.symbol,
            "canonical_symbol": item.canonical,
            "path": f"/ohlcv/{item.exchange}/{url_name(item)}/1m",
        }
        for item in instruments
    ]
    answer = {"timeframes": list(TIMEFRAMES), "instruments": items}
    return _encoder.encode({"simulated": True, **answer} if simulated else answer)


def fill_previous(
    candles: Sequence[Candle], query: Query, healthy: Healthy, holes: Sequence[UnknownRange] = ()
) -> list[Candle]:
    """Fill the quiet windows between the query's candles with the previous close and no trades.

    Windows stay empty unless the feed is known to have been healthy between the two candles, because a dead
    feed is not a quiet market. Windows in `holes`, which a sink may not have written yet, stay empty too.
    """
    if not candles:
        return []
    onwards = query.start is not None
    filled: list[Candle] = [candles[0 if onwards else -1]]
    for one, other in pairwise(candles if onwards else candles[::-1]):
        if len(filled) >= query.limit:
            break
        before, after = (one, other) if onwards else (other, one)
        length = TIMEFRAMES[after.timeframe]
        # A loss is detected with the next trade, so its span ends within that trade's window.
        known = not any(hole.meets(before, after) for hole in holes)
        if known and healthy(before.last_trade_time, (after.close_time + 1) * 1000):
            quiet = query.limited(range(before.open_time + length, after.open_time, length))
            filled += [_quiet(before, open_time) for open_time in (quiet if onwards else quiet[::-1])]
        filled.append(other)
    return list(query.limited(filled if onwards else filled[::-1]))


def _quiet(before: Candle, open_time: int) -> Candle:
    price = before.close
    return before._replace(
        open_time=open_time,
        close_time=open_time + TIMEFRAMES[before.timeframe] - 1,
        open=price,
        high=price,
        low=price,
        volume=_ZERO,
        quote_volume=_ZERO,
        taker_buy_volume=_ZERO,
        taker_buy_quote_volume=_ZERO,
        vwap=price,
        trade_count=0,
        revision=0,
        final=True,
    )


def _fields(candle: Candle, healthy: Healthy, reason: Reason) -> dict[str, Any]:
    fields = {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in candle._asdict().items()
    }
    for name in ("exchange", "symbol", "canonical_symbol", "timeframe"):
        del fields[name]
    if filled := candle.trade_count == 0:
        fields |= dict.fromkeys(_OF_TRADES)
    window = candle.open_time * 1000, (candle.close_time + 1) * 1000
    return {**fields, "filled": filled, "feed_healthy": healthy(*window), "feed_reason": reason(*window)}


def _plain(value: Decimal) -> Decimal:
    return Decimal(plain(value))
