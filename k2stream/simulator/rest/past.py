"""The newest trades of a simulated exchange."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from k2stream.simulator.market import Order

MOST_TRADES = 50_000


class PastTrade(NamedTuple):
    """A trade and its order."""

    id: int
    quantity: str
    order: Order


class PastOrders:
    """The newest orders of each symbol, oldest first; at most MOST_TRADES trades in total."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._orders: dict[str, deque[Order]] = {symbol: deque() for symbol in symbols}
        self._turns: deque[str] = deque()
        self._trades = 0

    def add(self, orders: Iterable[Order]) -> None:
        """Add new orders, dropping the oldest ones."""
        for order in orders:
            self._orders[order.symbol].append(order)
            self._turns.append(order.symbol)
            self._trades += len(order.quantities)
        while self._trades > MOST_TRADES:
            self._trades -= len(self._orders[self._turns.popleft()].popleft().quantities)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._orders

    def orders(self, symbol: str) -> Iterable[Order]:
        """A symbol's orders in order of number."""
        return self._orders[symbol]

    def trades(self, symbol: str) -> Iterator[PastTrade]:
        """A symbol's trades in order of id."""
        for order in self._orders[symbol]:
            for number, quantity in enumerate(order.quantities, order.first_id):
                yield PastTrade(number, quantity, order)
