"""All symbols at a glance, and how far exchanges are apart: `/v1/symbols`, `/v1/spreads`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import msgspec
from litestar import get

from k2stream.model.candle import TIMEFRAMES
from k2stream.model.decimals import plain
from k2stream.service import overview
from k2stream.service.overview import Seen
from k2stream.service.parameters import ExchangeFilter, From, SymbolFilter
from k2stream.service.sources import Sources
from k2stream.topics import EXCHANGES
from k2stream.web.query import RequestError, url_name


class SymbolItem(msgspec.Struct, frozen=True):
    """A symbol of one exchange, and its last 24 hours; decimals are strings, null without a trade."""

    exchange: str
    symbol: str
    native_symbol: str
    path: str
    """Of its one-minute candles."""
    last_price: str | None
    last_trade_time: int | None
    """µs since 1970."""
    price_digits: int
    """The most fraction digits of its prices of the last 24 hours: to show them all alike."""
    since: int | None
    """When the 24 hours begin (ms since 1970): with a full hour."""
    span_ms: int | None
    """How long ago their first trade was: of a feed that began today, the change is of less than 24 hours."""
    open: str | None
    high: str | None
    low: str | None
    change: str | None
    change_percent: str | None
    volume: str | None
    quote_volume: str | None
    trade_count: int | None
    trades_per_second: float
    """Of the last one to two minutes."""
    spread_bps: str | None
    """How far the exchanges that trade the symbol are apart; null if one alone does."""
    sparkline: list[tuple[int, str]]
    """Open time (ms) and close of the minutes of the last hour that had trades."""
    feed_healthy: bool | None
    """Whether the feed is up now; null if that is unknown."""
    unavailable: str | None
    """Why nothing is known now: its partition is moving, or its worker does not answer."""


class SymbolsAnswer(msgspec.Struct, frozen=True):
    """The symbols, in the order of the instruments file."""

    simulated: bool
    time: int
    """ms since 1970."""
    timeframes: list[str]
    """Those that are stored; any other multiple can be asked for."""
    symbols: list[SymbolItem]


class PriceItem(msgspec.Struct, frozen=True):
    """The last price of a symbol on one exchange; its time in µs."""

    exchange: str
    native_symbol: str
    price: str
    time: int
    feed_healthy: bool | None
    compared: bool
    """Whether the price counts: that of a feed that is down does not."""


class SpreadItem(msgspec.Struct, frozen=True):
    """A canonical symbol on all its exchanges; null where fewer than two can be compared."""

    symbol: str
    prices: list[PriceItem]
    lowest: str | None
    """The exchange with the lowest price."""
    highest: str | None
    spread: str | None
    spread_bps: str | None
    """In basis points of the lower price, cut off at four digits."""


class SpreadsAnswer(msgspec.Struct, frozen=True):
    """Symbols that several exchanges trade, by last price; the widest spread first."""

    simulated: bool
    time: int
    spreads: list[SpreadItem]


@get("/v1/symbols")
async def symbols(
    sources: From, exchange: ExchangeFilter = None, symbol: SymbolFilter = None
) -> SymbolsAnswer:
    """Every symbol with its last price, 24 hours, rate, spread across exchanges, and feed health."""
    seen = await sources.overview.read()
    now = time.time_ns() // 1_000_000
    apart = {item.symbol: item.spread_bps for item in spreads_of(seen)}
    wanted = [each for each in seen if is_wanted(sources, each, exchange, symbol)]
    items = [symbol_item(each, apart.get(each.instrument.canonical), now) for each in wanted]
    return SymbolsAnswer(sources.simulated, now, list(TIMEFRAMES), items)


@get("/v1/spreads")
async def spreads(sources: From, symbol: SymbolFilter = None) -> SpreadsAnswer:
    """The same symbol across exchanges: last prices, and how far they are apart."""
    seen = await sources.overview.read()
    wanted = [each for each in seen if is_wanted(sources, each, None, symbol)]
    found = sorted(spreads_of(wanted), key=lambda item: -float(item.spread_bps or -1))
    return SpreadsAnswer(sources.simulated, time.time_ns() // 1_000_000, found)


def is_wanted(sources: Sources, seen: Seen, exchange: str | None, symbol: str | None) -> bool:
    """Whether a symbol is one that a request asks for. Raises RequestError 404 for an unknown exchange."""
    item = seen.instrument
    if exchange is not None and exchange not in EXCHANGES:
        raise RequestError(404, f"unknown exchange {exchange}", exchanges=EXCHANGES)
    if exchange not in (None, item.exchange):
        return False
    return symbol is None or sources.instruments.find(item.exchange, symbol) == item


def symbol_item(seen: Seen, spread_bps: str | None, now: int) -> SymbolItem:
    """A symbol as it is answered; `now` in ms."""
    item, last, day = seen.instrument, seen.last, overview.day_of(seen)
    change = last.close - day.open if last and day else None
    return SymbolItem(
        exchange=item.exchange,
        symbol=item.canonical,
        native_symbol=item.symbol,
        path=f"/v1/ohlcv/{item.exchange}/{url_name(item)}/1m",
        last_price=plain(last.close) if last else None,
        last_trade_time=last.last_trade_time if last else None,
        price_digits=overview.price_digits((*seen.minutes, *seen.hours)),
        since=day.since if day else None,
        span_ms=max(now - day.first_trade_time // 1000, 0) if day else None,
        open=plain(day.open) if day else None,
        high=plain(day.high) if day else None,
        low=plain(day.low) if day else None,
        change=None if change is None else plain(change),
        change_percent=overview.percent(change, day.open) if day and change is not None else None,
        volume=plain(day.volume) if day else None,
        quote_volume=plain(day.quote_volume) if day else None,
        trade_count=day.trades if day else None,
        trades_per_second=overview.trades_per_second(seen.minutes, now),
        spread_bps=spread_bps,
        sparkline=[(candle.open_time, plain(candle.close)) for candle in seen.minutes],
        feed_healthy=seen.healthy,
        unavailable=seen.unavailable or None,
    )


def spreads_of(seen: Iterable[Seen]) -> list[SpreadItem]:
    """The spread of each canonical symbol that several exchanges trade."""
    alike: dict[str, list[Seen]] = defaultdict(list)
    for each in seen:
        alike[each.instrument.canonical].append(each)
    return [_spread(symbol, found) for symbol, found in alike.items() if len(found) > 1]


def _spread(symbol: str, found: list[Seen]) -> SpreadItem:
    priced = [(each, each.last) for each in found if each.last is not None]
    compared = [pair for pair in priced if pair[0].healthy is not False]
    prices = [
        PriceItem(
            each.instrument.exchange,
            each.instrument.symbol,
            plain(last.close),
            last.last_trade_time,
            each.healthy,
            each.healthy is not False,
        )
        for each, last in priced
    ]
    if len(compared) < 2:
        return SpreadItem(symbol, prices, None, None, None, None)
    lowest = min(compared, key=lambda pair: (pair[1].close, pair[1].exchange))[1]
    highest = max(compared, key=lambda pair: (pair[1].close, pair[1].exchange))[1]
    spread = highest.close - lowest.close
    bps = overview.basis_points(spread, lowest.close)
    return SpreadItem(symbol, prices, lowest.exchange, highest.exchange, plain(spread), bps)


ROUTES = (symbols, spreads)
