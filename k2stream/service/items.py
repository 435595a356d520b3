"""Candles as they are answered in JSON."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from k2stream.candles.state import State, shown
from k2stream.history.consolidate import Consolidated
from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.web.health import FeedHealth, Unhealthy


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
    feed_reason: Unhealthy | None
    """Why it is not: `began` (the feed was up for the first time within the window: the candle is of a part
    of it), `before` (the window was over by then) or `lost` (the feed was down, or lost trades)."""
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
    feed_reason: Unhealthy | None


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


def candle_item(candle: Candle, health: FeedHealth) -> CandleItem:
    """A candle as it is answered; a filled window has no trade times and no raw offset."""
    of = candle.exchange, candle.symbol
    return _item(candle, *_healthy(health, of, candle.open_time, candle.close_time))


def _healthy(
    health: FeedHealth, of: tuple[str, str], open_time: int, close_time: int
) -> tuple[bool | None, Unhealthy | None]:
    """Whether a feed was healthy during a window (ms), and why not."""
    window = open_time * 1000, (close_time + 1) * 1000
    healthy = health.checker(*of)(*window)
    return healthy, health.reason(*of, *window) if healthy is False else None


def _item(candle: Candle, healthy: bool | None, reason: Unhealthy | None) -> CandleItem:
    filled = candle.trade_count == 0
    placed = not filled and candle.raw_offset >= 0
    # By position, in the order of the fields: every answer runs through this.
    return CandleItem(
        candle.open_time,
        candle.close_time,
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.quote_volume),
        plain(candle.taker_buy_volume),
        plain(candle.taker_buy_quote_volume),
        plain(candle.vwap),
        candle.trade_count,
        None if filled else candle.first_trade_time,
        None if filled else candle.last_trade_time,
        candle.revision,
        candle.final,
        candle.raw_partition if placed else None,
        candle.raw_offset if placed else None,
        filled,
        healthy,
        reason,
    )


def state_item(
    state: State, of: tuple[str, str], open_time: int, close_time: int, health: FeedHealth
) -> CandleItem:
    """A candle of a table, of an exchange and its symbol, as it is answered: straight from its state."""
    placed = state.raw_offset >= 0
    return CandleItem(
        open_time,
        close_time,
        *shown(state),
        state.trade_count,
        state.open_at[0],
        state.close_at[0],
        state.revision,
        state.final,
        state.raw_partition if placed else None,
        state.raw_offset if placed else None,
        False,
        *_healthy(health, of, open_time, close_time),
    )


def consolidated_item(found: Consolidated, health: FeedHealth) -> CandleItem:
    """A consolidated candle with its parts; it is healthy if the feeds of all its parts were."""
    parts = [candle_item(part, health) for part in found.parts]
    states = [part.feed_healthy for part in parts]
    healthy = False if False in states else None if None in states else True
    reasons = {part.feed_reason for part in parts}
    reason = next(
        (each for each in (Unhealthy.LOST, Unhealthy.BEGAN, Unhealthy.BEFORE) if each in reasons), None
    )
    item = _item(found.candle, healthy, reason)
    named = zip(found.parts, parts, strict=True)
    return msgspec.structs.replace(item, parts=[_part(candle, part) for candle, part in named])


def _part(candle: Candle, item: CandleItem) -> CandlePart:
    shared = {name: getattr(item, name) for name in CandlePart.__struct_fields__[2:]}
    return CandlePart(candle.exchange, candle.symbol, **shared)
