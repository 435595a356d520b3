"""The endpoints of the mirrored API: what each takes, weighs and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from k2stream.history.timeframes import timeframe
from k2stream.history.trades import TradePage
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror import klines, listing, tickers, trades
from k2stream.service.mirror.errors import MirrorError, unsupported
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.sources import Sources
from k2stream.web.query import Query, RequestError

_SYMBOLS = ("symbol", "symbols")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to one exchange's mirror at `now` (ms since 1970)."""

    sources: Sources
    exchange: str
    sent: Parameters
    now: int

    @property
    def listed(self) -> list[Instrument]:
        """The instruments of the exchange."""
        return self.sources.instruments.for_exchange(self.exchange)

    def instrument(self) -> Instrument:
        """The instrument of the parameter `symbol`."""
        return self.sent.symbol(self.sources.instruments, self.exchange)

    def instruments(self) -> list[Instrument] | None:
        """The instruments of the parameters `symbol` and `symbols`; None without either."""
        return self.sent.symbols(self.sources.instruments, self.exchange)

    async def candles(self, instrument: Instrument, name: str, query: Query) -> Sequence[Candle]:
        """Candles of a stored timeframe. Raises RequestError 503 where some may be missing."""
        return klines.whole(await self.sources.candles.read(instrument, timeframe(name), query))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path: the parameters that it reads, its weight for a number of symbols (None: all), its answer."""

    answer: Callable[[Call], Awaitable[Any]]
    known: tuple[str, ...] = ()
    weight: Callable[[int | None], int] = lambda symbols: 1


async def _ping(call: Call) -> dict[str, Any]:
    return {}


async def _time(call: Call) -> dict[str, int]:
    return {"serverTime": call.now}


async def _exchange_info(call: Call) -> dict[str, Any]:
    return listing.listing(call.instruments() or call.listed, call.now)


async def _klines(call: Call) -> list[klines.Kline]:
    instrument, of, query = call.instrument(), call.sent.timeframe(), klines.query(call.sent)
    if query is None:
        return []
    found = await call.sources.candles.read(instrument, of, query)
    return [klines.kline(candle) for candle in klines.whole(found)]


async def _trades(call: Call) -> list[dict[str, Any]]:
    return await _listed(call, trades.recent(call.sent), trades.single)


async def _historical(call: Call) -> list[dict[str, Any]]:
    return await _listed(call, trades.historical(call.sent), trades.single)


async def _aggregated(call: Call) -> list[dict[str, Any]]:
    return await _listed(call, trades.aggregated(call.sent), trades.aggregate)


async def _listed(
    call: Call, page: TradePage | None, show: Callable[[NumberedTrade], dict[str, Any]]
) -> list[dict[str, Any]]:
    instrument = call.instrument()
    return [show(each) for each in await trades.read(call.sources.trades, instrument, page)] if page else []


async def _price(call: Call) -> Any:
    async def one(instrument: Instrument) -> dict[str, str] | None:
        last = await call.candles(instrument, "1m", Query(1))
        return tickers.price(instrument, last[0]) if last else None

    return await _each(call, one)


async def _day(call: Call) -> Any:
    kind = call.sent.get("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise MirrorError(-1139, "Invalid ticker type.")
    show = tickers.full if kind == "FULL" else tickers.mini

    async def one(instrument: Instrument) -> dict[str, Any] | None:
        day = await read_day(call, instrument)
        if not (day.before or day.candles):
            return None
        return show(instrument, day, await _bounds(call, instrument, day.parts))

    return await _each(call, one)


async def _bounds(call: Call, instrument: Instrument, parts: tickers.Parts) -> tickers.Bounds:
    """The first and last trade of a day; unknown where trades are unavailable."""
    try:
        of = call.sources.trades, instrument
        first = await trades.read(*of, TradePage(1, parts.start * 1000, recent=True))
        last = await trades.read(*of, TradePage(1, recent=True))
    except RequestError:
        return tickers.Bounds()
    if not (first and last and last[-1].id >= first[0].id):
        return tickers.Bounds()
    return tickers.Bounds(first[0].first, last[-1].last, last[-1].quantity)


async def read_day(call: Call, instrument: Instrument) -> tickers.RollingDay:
    """The candles of the rolling day that ends now."""
    parts = tickers.parts(call.now)
    before = await call.candles(instrument, "1m", Query(1, end=parts.start))
    minutes = await call.candles(instrument, "1m", Query(60, parts.start, parts.hours))
    hours = await call.candles(instrument, "1h", Query(25, parts.hours, parts.end))
    return tickers.RollingDay(parts, before[0] if before else None, [*minutes, *hours])


async def _each(call: Call, one: Callable[[Instrument], Awaitable[Any]]) -> Any:
    """One object for `symbol`, else a list; symbols without any trade are left out of a list."""
    wanted = call.instruments()
    found = [await one(item) for item in (call.listed if wanted is None else wanted)]
    if call.sent.get("symbol") is None:
        return [each for each in found if each is not None]
    if found[0] is None:
        raise unsupported("K2 has no trade of this symbol yet.", 503)
    return found[0]


async def _no_book(call: Call) -> Any:
    raise unsupported("K2 follows trades: it has no order book, and no best bid and ask.")


def _many(symbols: int | None) -> int:
    if symbols is None or symbols > 100:
        return 80
    return 2 if symbols <= 20 else 40


ENDPOINTS = {
    "ping": Endpoint(_ping),
    "time": Endpoint(_time),
    "exchangeInfo": Endpoint(
        _exchange_info,
        (*_SYMBOLS, "permissions", "showPermissionSets", "symbolStatus"),
        lambda symbols: 20,
    ),
    **dict.fromkeys(
        ("klines", "uiKlines"),
        Endpoint(
            _klines,
            ("symbol", "interval", "startTime", "endTime", "timeZone", "limit"),
            lambda symbols: 2,
        ),
    ),
    "trades": Endpoint(_trades, ("symbol", "limit"), lambda symbols: 25),
    "historicalTrades": Endpoint(_historical, ("symbol", "limit", "fromId"), lambda symbols: 25),
    "aggTrades": Endpoint(
        _aggregated, ("symbol", "limit", "fromId", "startTime", "endTime"), lambda symbols: 4
    ),
    "ticker/price": Endpoint(_price, (*_SYMBOLS, "symbolStatus"), lambda symbols: 2 if symbols == 1 else 4),
    "ticker/24hr": Endpoint(_day, (*_SYMBOLS, "type", "symbolStatus"), _many),
    **dict.fromkeys(
        ("depth", "ticker/bookTicker", "avgPrice"),
        Endpoint(_no_book, (*_SYMBOLS, "limit", "symbolStatus")),
    ),
}
"""By path below /api/v3/."""
