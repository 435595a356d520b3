"""One canonical trade as clients of a mirrored API read it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


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
