"""Candles that wait for their comparison, and which of them one request is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from k2stream.exchanges.rest.klines import RestKlines
from k2stream.model.candle import TIMEFRAMES, Candle


class PendingCheck(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A final candle to be compared when `due` (µs since 1970); open_time in ms.

    `missed` counts the responses without its kline, `failed` the requests without a response.
    """

    exchange: str
    symbol: str
    canonical_symbol: str
    timeframe: str
    open_time: int
    revision: int
    due: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int
    taker_buy_volume: Decimal
    missed: int = 0
    failed: int = 0

    @property
    def symbol_key(self) -> str:
        """Its symbol, as exchange:SYMBOL."""
        return f"{self.exchange}:{self.canonical_symbol}"

    @property
    def key(self) -> str:
        """Its key in the table: one per candle, so that a newer revision replaces an older one."""
        return f"{self.symbol_key}|{self.timeframe}|{self.open_time}"

    @property
    def end(self) -> int:
        """The end of its window, in ms since 1970."""
        return self.open_time + TIMEFRAMES[self.timeframe]


def waiting(candle: Candle, due: int) -> PendingCheck:
    """A candle that is to be compared when `due`, in µs since 1970."""
    fields = {name: getattr(candle, name) for name in PendingCheck.__struct_fields__ if hasattr(candle, name)}
    return PendingCheck(**fields, due=due)


class KlineGroup(NamedTuple):
    """Due candles of one symbol and timeframe, by open time; each with its partition."""

    items: list[tuple[int, PendingCheck]]

    @property
    def first(self) -> PendingCheck:
        """The oldest window."""
        return self.items[0][1]

    @property
    def last(self) -> PendingCheck:
        """The newest window."""
        return self.items[-1][1]


def next_group(due: Iterable[tuple[int, PendingCheck]], klines: RestKlines | None) -> KlineGroup | None:
    """Of the due candles, those that one request is for: with the one that waits longest, of its symbol."""
    found = list(due)
    if not found:
        return None
    _, longest = min(found, key=lambda item: item[1].due)
    of = longest.symbol, longest.timeframe
    mine = sorted(
        (item for item in found if (item[1].symbol, item[1].timeframe) == of),
        key=lambda item: item[1].open_time,
    )
    limit = klines.limit if klines else len(mine)
    end = mine[0][1].open_time + limit * TIMEFRAMES[longest.timeframe]
    return KlineGroup([item for item in mine if item[1].open_time < end])


def not_offered(item: PendingCheck, klines: RestKlines | None, url: str, now: int) -> str:
    """Why no request can bring the kline of a candle; empty when one can. `now` in µs since 1970."""
    if klines is None:
        return "the exchange has no klines"
    if not url:
        return f"the feed is from elsewhere: K2_{item.exchange.upper()}_KLINES_URL is not set"
    if item.timeframe not in klines.timeframes:
        return f"the exchange has no klines of {item.timeframe}"
    if klines.newest and now // 1000 - item.open_time >= klines.newest * TIMEFRAMES[item.timeframe]:
        return f"the exchange has the newest {klines.newest} klines only"
    return ""
