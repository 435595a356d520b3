"""Trades that came too late for their candle: `/v1/late/{exchange}/{symbol}`."""

from __future__ import annotations

import msgspec
from litestar import get

from k2stream.clickhouse import late
from k2stream.model import clock
from k2stream.service.parameters import Bound, Exchange, From, Limit, Symbol
from k2stream.service.stores import asked
from k2stream.web.query import DEFAULT_LIMIT, bounds, find

DAY_MS = 86_400_000


class LateItem(msgspec.Struct, frozen=True):
    """A minute with trades that its candle lacks."""

    open_time: int
    """ms since 1970."""
    trades: int


class LateAnswer(msgspec.Struct, frozen=True):
    """Minutes, ascending; times in ms."""

    exchange: str
    symbol: str
    native_symbol: str
    simulated: bool
    start: int
    end: int
    minutes: list[LateItem]


@get("/v1/late/{exchange:str}/{symbol:str}")
async def late_minutes(
    sources: From,
    exchange: Exchange,
    symbol: Symbol,
    start: Bound = None,
    end: Bound = None,
    limit: Limit = DEFAULT_LIMIT,
) -> LateAnswer:
    """The minutes with trades that came after their candle was final, and so are in no candle.

    They are in ClickHouse, in Iceberg and in the topic of late trades. Without bounds: the last 24 hours;
    the last `limit` minutes.
    """
    instrument = find(sources.instruments, exchange, symbol)
    first, last = bounds(start, end)
    until = clock.now_us() // 1000 if last is None else last
    since = max(until - DAY_MS, 0) if first is None else first
    stores = sources.settings.clickhouse
    found = await asked(lambda: late.minutes(stores, instrument, since, until, limit))
    of = (exchange, instrument.canonical, instrument.symbol, sources.simulated)
    return LateAnswer(*of, since, until, [LateItem(*minute) for minute in found])


ROUTES = (late_minutes,)
