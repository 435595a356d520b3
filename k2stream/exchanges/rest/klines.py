"""An exchange's own candles over REST: requests and parsing, a frozen value of pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, NamedTuple

from msgspec import Meta

from k2stream.exchanges.rest.spec import RestRequest

Amount = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?\Z")]
"""A price or quantity as a JSON string."""


class Kline(NamedTuple):
    """A candle as its exchange has it; open_time in ms since 1970, None for what it does not say.

    Sums of price × quantity are left out: exchanges round them, each in its own way.
    """

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int | None = None
    taker_buy_volume: Decimal | None = None

    @classmethod
    def from_strings(
        cls, open_time: int, amounts: Iterable[str], count: int | None = None, taker: str = ""
    ) -> Kline:
        """From the literal digits of open, high, low, close and volume, and of the taker's buys if told."""
        opened, high, low, close, volume = map(Decimal, amounts)
        return cls(open_time, opened, high, low, close, volume, count, Decimal(taker) if taker else None)


@dataclass(frozen=True, slots=True)
class RestKlines:
    """How an exchange's klines are requested and read."""

    timeframes: Mapping[str, str]
    """The exchange's word for each timeframe that it has."""

    limit: int
    """The most klines in a response."""

    request: Callable[[str, str, int, int], RestRequest]
    """Returns the request by (symbol, the exchange's timeframe, first and last open time in ms).

    The response may contain other klines too.
    """

    parse: Callable[[bytes], list[Kline]]
    """Parses the klines of a response; raises HistoryError that describes any other response."""

    requests_a_second: float
    """Request rate, below the documented limit, which applies to all clients of an IP address together."""

    newest: int = 0
    """How many windows back the exchange answers; 0: any number."""

    url: str = ""
    """Default URL, where it is not that of past trades."""
