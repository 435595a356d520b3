"""Candles as they are answered in JSON."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from k2stream.history.consolidate import Consolidated
from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.web.health import Healthy


class CandleItem(msgspec.Struct, frozen=True):
    """One candle; times in ms since 1970, trade times in µs; decimals are strings with all their digits."""

    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    taker_buy_volume: str
    taker_buy_quote_volume: str
    vwap: str
    trade_count: int
    first_trade_time: int | None
    last_trade_time: int | None
    revision: int
    final: bool
    raw_partition: int | None
    raw_offset: int | None
    filled: bool
    """Whether the window had no trades and repeats the previous close."""
    feed_healthy: bool | None
    """Whether the feed was up and lost nothing during the window so far; null if that is unknown."""
    parts: list[CandlePart] | UnsetType = UNSET
    """Of a consolidated candle: the candles of the exchanges, by exchange."""


class CandlePart(msgspec.Struct, frozen=True):
    """What one exchange contributes to a consolidated candle."""

    exchange: str
    native_symbol: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trade_count: int
    first_trade_time: int
    last_trade_time: int
    revision: int
    final: bool
    feed_healthy: bool | None


class MissingItem(msgspec.Struct, frozen=True):
    """A tier that could not be read, and might have had more."""

    tier: str
    reason: str


class CandlesAnswer(msgspec.Struct, frozen=True):
    """Candles of one symbol and timeframe, ascending unless `order` says otherwise."""

    exchange: str
    symbol: str
    native_symbol: str | None
    """The exchange's own spelling; null of all exchanges."""
    timeframe: str
    tz: str
    simulated: bool
    candles: list[CandleItem]
    missing: list[MissingItem]
    next: str | None = None
    """The `cursor` of the next page; null at the end."""


def candle_item(candle: Candle, healthy: bool | None) -> CandleItem:
    """A candle as it is answered; a filled window has no trade times and no raw offset."""
    filled = candle.trade_count == 0
    placed = not filled and candle.raw_offset >= 0
    return CandleItem(
        open_time=candle.open_time,
        close_time=candle.close_time,
        open=plain(candle.open),
        high=plain(candle.high),
        low=plain(candle.low),
        close=plain(candle.close),
        volume=plain(candle.volume),
        quote_volume=plain(candle.quote_volume),
        taker_buy_volume=plain(candle.taker_buy_volume),
        taker_buy_quote_volume=plain(candle.taker_buy_quote_volume),
        vwap=plain(candle.vwap),
        trade_count=candle.trade_count,
        first_trade_time=None if filled else candle.first_trade_time,
        last_trade_time=None if filled else candle.last_trade_time,
        revision=candle.revision,
        final=candle.final,
        raw_partition=candle.raw_partition if placed else None,
        raw_offset=candle.raw_offset if placed else None,
        filled=filled,
        feed_healthy=healthy,
    )


def consolidated_item(found: Consolidated, checker: Callable[[Candle], Healthy]) -> CandleItem:
    """A consolidated candle with its parts; it is healthy if the feeds of all its parts were."""
    window = found.candle.open_time * 1000, (found.candle.close_time + 1) * 1000
    states = [checker(part)(*window) for part in found.parts]
    healthy = False if False in states else None if None in states else True
    parts = [_part(part, state) for part, state in zip(found.parts, states, strict=True)]
    return msgspec.structs.replace(candle_item(found.candle, healthy), parts=parts)


def _part(candle: Candle, healthy: bool | None) -> CandlePart:
    item = candle_item(candle, healthy)
    shared = {name: getattr(item, name) for name in CandlePart.__struct_fields__[2:]}
    return CandlePart(candle.exchange, candle.symbol, **shared)
