"""One canonical trade as clients read it, and which of them a client asks for."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class TradeQuery(NamedTuple):
    """Trades with start <= time < end (ms) and id >= `first`: the newest `limit` unless a bound is given.

    With `first` or `start` they are the oldest ones.
    """

    limit: int
    first: int | None = None
    start: int | None = None
    end: int | None = None

    @property
    def newest(self) -> bool:
        """Whether the newest trades that match are asked for."""
        return self.first is None and self.start is None


class NumberedTrade(NamedTuple):
    """A canonical trade with a number that rises per symbol; `time` in µs since 1970.

    `id` is the exchange's own numeric id; where it has none, the offset of the raw record. `first` and `last`
    are the ids of the trades in it: they differ for aggregated trades only.
    """

    id: int
    first: int
    last: int
    time: int
    price: Decimal
    quantity: Decimal
    taker_buy: bool
