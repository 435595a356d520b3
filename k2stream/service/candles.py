"""Candles: `/v1/ohlcv/{exchange}/{symbol}/{timeframe}`."""

from __future__ import annotations

import msgspec
from litestar import get

from k2stream.history.derive import largest_limit
from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.service.parameters import Bound, Exchange, Fill, From, Limit, Symbol, TimeframeName, Zone
from k2stream.web.health import Healthy
from k2stream.web.query import DEFAULT_LIMIT, LARGEST_LIMIT, Query, bounds, find, timeframe_of


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


class MissingItem(msgspec.Struct, frozen=True):
    """A tier that could not be read, and might have had more."""

    tier: str
    reason: str


class CandlesAnswer(msgspec.Struct, frozen=True):
    """Candles of one symbol and timeframe, ascending unless `order` says otherwise."""

    exchange: str
    symbol: str
    native_symbol: str
    timeframe: str
    tz: str
    simulated: bool
    candles: list[CandleItem]
    missing: list[MissingItem]


@get("/v1/ohlcv/{exchange:str}/{symbol:str}/{timeframe:str}")
async def candles(
    sources: From,
    exchange: Exchange,
    symbol: Symbol,
    timeframe: TimeframeName,
    start: Bound = None,
    end: Bound = None,
    limit: Limit = DEFAULT_LIMIT,
    fill: Fill = "none",
    zone: Zone = "UTC",
) -> CandlesAnswer:
    """Candles of a symbol in any timeframe, from the tables, ClickHouse and Iceberg."""
    instrument = find(sources.instruments, exchange, symbol)
    of = timeframe_of(timeframe, zone)
    largest = LARGEST_LIMIT if of.is_stored else min(LARGEST_LIMIT, largest_limit(of))
    query = Query(min(limit, largest), *bounds(start, end), fill)
    found = await sources.candles.read(instrument, of, query)
    healthy = sources.health.checker(exchange, instrument.symbol)
    return CandlesAnswer(
        exchange,
        instrument.canonical,
        instrument.symbol,
        of.name,
        of.zone.key,
        sources.simulated,
        [item(candle, healthy) for candle in found.candles],
        [MissingItem(*tier) for tier in found.missing],
    )


def item(candle: Candle, healthy: Healthy) -> CandleItem:
    """A candle as it is answered; a filled window has no trade times and no raw offset."""
    filled = candle.trade_count == 0
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
        raw_partition=None if filled else candle.raw_partition,
        raw_offset=None if filled else candle.raw_offset,
        filled=filled,
        feed_healthy=healthy(candle.open_time * 1000, (candle.close_time + 1) * 1000),
    )


ROUTES = (candles,)
