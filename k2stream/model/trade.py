"""Trades as columns: what an exchange's normalise returns, and what candles are folded from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BACKFILLED = "backfilled"
"""The trade condition of a trade that was fetched later over REST."""

AHEAD_US = 300 * 1_000_000
"""A trade time further beyond the receive time is taken for a wrong one."""

EARLIEST_US = 1_230_768_000_000_000
"""2009: no trade time is before it. A 0 stands for a time that the exchange does not know."""

SCALE = 18
"""Fraction digits of every stored decimal; 20 integer digits are left of decimal(38, 18)."""

INTEGER_DIGITS = 20

TRADE_DIGITS = 13
"""Integer digits of a trade's quantity and of its price times quantity, at most: far above any real trade,
and so far below INTEGER_DIGITS that no window's sums of fewer than 10 million such trades leave it."""


class RawTrade(NamedTuple):
    """One trade as the exchange said it: `body` is a JSON object of its own fields and literal numbers."""

    symbol: str
    body: bytes


@dataclass(slots=True)
class TradeColumns:
    """Trades of one exchange, a list per field, all of one length, in input order.

    Prices and quantities are the exchange's literal decimal strings; times are µs since 1970 UTC.
    `sequence` orders trades of one instant (the exchange's numeric id; 0 where it has none).
    `trade_count` is how many exchange trades a record stands for (an aggregated one more than 1).
    `vendor_data` has the exchange's own fields that have no other place; "" where a record lacks one.
    `numbering` names which of an exchange's numberings an id belongs to ("" and "agg", say);
    an empty list when all ids are of the one numbering "".
    `first` and `last` are the ids of the trades that a record stands for; empty lists when each is one trade.
    `backfilled` names, of trades that were fetched later over REST, the fetch and the place in it, and is ""
    for others; an empty list when none was.
    `link` is the connection that told a trade; an empty list where that makes no difference.
    `likeness` tells trades without ids apart, beside price, quantity and side; empty where nothing does.
    `added` has canonical fields beyond those here (k2stream/avro/added.py); None where a record lacks one.
    """

    exchange: str
    symbol: list[str]
    trade_id: list[str]
    timestamp: list[int]
    receive_time: list[int]
    price: list[str]
    quantity: list[str]
    taker_buy: list[bool]
    sequence: list[int]
    trade_count: list[int]
    vendor_data: dict[str, list[str]] = field(default_factory=dict)
    numbering: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    backfilled: list[str] = field(default_factory=list)
    link: list[str] = field(default_factory=list)
    likeness: list[str] = field(default_factory=list)
    added: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.symbol)


@dataclass(frozen=True, slots=True)
class Decimals:
    """Exact decimals of a batch: value = mantissa / 10**scale, one scale for all.

    `mantissa` is int64 where every value fits, else an object array of Python ints: same results, slower.
    """

    mantissa: NDArray[np.int64] | NDArray[np.object_]
    scale: int


def no_backfill(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of trades that all came over the socket."""
    return np.zeros(len(rows), np.bool_)


@dataclass(frozen=True, slots=True)
class HotTrades:
    """What the candles need of a batch of canonical trades; arrays of one length, in input order.

    `key` is a small integer a (exchange, canonical symbol), an index into `keys` ("exchange:BASE/QUOTE").
    Positions are those of the raw topic: (raw_partition, raw_offset) rises per key.
    `backfilled` tells of some rows which were fetched later: few are asked for, so it is read on demand.
    """

    keys: list[str]
    key: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    receive_time: NDArray[np.int64]
    price: Decimals
    quantity: Decimals
    taker_buy: NDArray[np.bool_]
    sequence: NDArray[np.int64]
    raw_partition: NDArray[np.int64]
    raw_offset: NDArray[np.int64]
    trade_count: NDArray[np.int64]
    backfilled: Callable[[NDArray[np.int64]], NDArray[np.bool_]] = no_backfill

    def __len__(self) -> int:
        return len(self.key)
