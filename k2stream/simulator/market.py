"""A simulated market: seed and start time determine the trades, however often it is polled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from k2stream.model.instrument import Instrument
from k2stream.simulator.assets import Asset, Style, asset_of, decimal

_FILLS = (0.8, 0.95)  # cumulative probabilities of one and of two fills; else three, 1.25 on average
_MEAN_FILLS = 1.25
_SPREAD = 5000  # a price moves by up to 1/5000 of itself per order
_RETURN = 4096  # per order, 1/4096 of the distance to the initial price is undone


class Order(NamedTuple):
    """A taker order filled by one or more makers at one price: trades with consecutive ids."""

    symbol: str
    number: int
    first_id: int
    time_us: int
    price: str
    taker_buy: bool
    quantities: tuple[str, ...]
    lots: int
    """Total quantity in lots of 10**-lot_digits."""

    lot_digits: int

    @property
    def last_id(self) -> int:
        """Id of the last trade."""
        return self.first_id + len(self.quantities) - 1


# No symbol trades this fast, so a restarted exchange continues above its earlier ids at any rate.
_US_AN_ID = 100


@dataclass(slots=True)
class _Book:
    symbol: str
    asset: Asset
    ticks: int
    number: int
    next_id: int


class Market:
    """Orders of one exchange's symbols: a Poisson process with `rate` trades per second in total.

    Every other order goes to the symbols in turn, so that none stays quiet for long; the rest prefer the
    first symbols. Some fills of an order are identical, as on real exchanges.
    """

    def __init__(
        self,
        exchange: str,
        instruments: Sequence[Instrument],
        rate: float,
        seed: int,
        start_us: int,
        style: Style,
    ) -> None:
        self._random = Random(f"{seed}:{exchange}")  # noqa: S311 - a market that can be repeated
        self._style = style
        self._rate = rate / _MEAN_FILLS / 1e6  # orders per µs
        self._books = [self._book(item, start_us) for item in instruments]
        self._turn = 0
        self._next_us = start_us + self._random.expovariate(self._rate)

    def _book(self, instrument: Instrument, start_us: int) -> _Book:
        asset = asset_of(instrument, self._style.lot_digits)
        numbers = self._random.randrange(10**8, 10**9)
        return _Book(instrument.symbol, asset, asset.ticks, numbers, numbers + start_us // _US_AN_ID)

    def until(self, time_us: int) -> list[Order]:
        """The orders since the last call, up to a time in µs since 1970."""
        orders = []
        while self._next_us <= time_us:
            orders.append(self._order(int(self._next_us)))
            self._next_us += self._random.expovariate(self._rate)
        return orders

    def halted(self, until_us: int) -> None:
        """Skip the time up to `until_us` without orders."""
        self._next_us = max(self._next_us, until_us)

    def _order(self, time_us: int) -> Order:
        book, draw = self._choose(), self._random.random
        asset, style = book.asset, self._style
        reach = asset.ticks / _SPREAD + 1
        drift = (asset.ticks - book.ticks) / _RETURN
        book.ticks = max(1, book.ticks + round((draw() - 0.5) * 2 * reach + drift))
        lots = self._lots(asset)
        order = Order(
            book.symbol,
            book.number,
            book.next_id,
            time_us,
            decimal(book.ticks, asset.price_digits, style.price_digits),
            draw() < 0.5,
            tuple([decimal(count, asset.lot_digits, style.quantity_digits) for count in lots]),
            sum(lots),
            asset.lot_digits,
        )
        book.number += 1
        book.next_id += len(lots)
        return order

    def _choose(self) -> _Book:
        self._turn += 1
        count = len(self._books)
        if self._turn & 1:
            return self._books[(self._turn >> 1) % count]
        return self._books[int(self._random.random() ** 2 * count)]

    def _lots(self, asset: Asset) -> list[int]:
        draw = self._random.random
        lots = [1 + int(asset.lots * 4 * draw() ** 3)]
        fills = draw()
        if fills >= _FILLS[0]:
            more = 1 if fills < _FILLS[1] else 2
            same = draw() < 0.4
            lots += [lots[0] if same else 1 + int(asset.lots * 4 * draw() ** 3) for _ in range(more)]
        return lots
