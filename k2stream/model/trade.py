"""Trades as columns: the results of an exchange's `normalize`, and the input of candles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BACKFILLED = "backfilled"
"""The trade condition of trades that were fetched later over REST."""

AHEAD_US = 300 * 1_000_000
"""A trade time that is further ahead of the receive time is considered wrong."""

EARLIEST_US = 1_230_768_000_000_000
"""The year 2009: earlier trade times are invalid. 0 means that the exchange does not report a time."""

SCALE = 18
"""Fraction digits of every stored decimal; decimal(38, 18) leaves 20 integer digits."""

INTEGER_DIGITS = 20

TRADE_DIGITS = 13
"""Integer digits of a trade's quantity and of its price times quantity, at most: far above any real trade,
and so far below INTEGER_DIGITS that no window's sums of fewer than 10 million such trades leave it."""


class RawTrade(NamedTuple):
    """One trade as the exchange sent it; `body` is a JSON object of its own fields and literal numbers."""

    symbol: str
    body: bytes


class Reject(NamedTuple):
    """A frame, a trade of a frame, or a row of a REST answer that cannot be used, and the cause."""

    cause: str
    original: bytes


@dataclass(slots=True)
class TradeColumns:
    """Trades of one exchange: one list per field, all of the same length, in input order.

    Prices and quantities are the exchange's literal decimal strings; times are µs since 1970 UTC. `sequence`
    orders trades of the same time (the exchange's numeric id; 0 without one). `trade_count` is the number of
    exchange trades in a record (more than 1 for an aggregated one). `vendor_data` has the exchange's other
    fields; "" where a record lacks one.

    `numbering` names the exchange's numbering that an id belongs to (e.g. "" or "agg"); an empty list when
    all ids belong to "". `first` and `last` are the ids of the trades in a record; empty lists when each is
    one trade.

    `backfilled` names the fetch, and the place in it, of trades fetched later over REST, and is "" for
    others; an empty list without any. `link` is the connection that reported a trade; an empty list where it
    does not matter.

    `likeness` names the vendor data that distinguishes trades without ids, together with price, quantity and
    side; empty where nothing does. `added` has further canonical fields (k2stream/avro/added.py); None where
    a record lacks one.
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
    likeness: str = ""
    added: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.symbol)


@dataclass(frozen=True, slots=True)
class Decimals:
    """Exact decimals of a batch: value = mantissa / 10**scale, with one scale for all.

    `mantissa` is int64 if every value fits, else an object array of Python ints: same results, but slower.
    """

    mantissa: NDArray[np.int64] | NDArray[np.object_]
    scale: int


def no_backfill(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For trades that all arrived over the WebSocket."""
    return np.zeros(len(rows), np.bool_)


@dataclass(frozen=True, slots=True)
class CandleInput:
    """The fields of canonical trades that candles need: arrays of the same length, in input order.

    `key` is a small integer per (exchange, canonical symbol), the index into `keys` ("exchange:BASE/QUOTE").
    Positions are those of the raw topic: (raw_partition, raw_offset) rises per key. `backfilled` returns
    which of some rows were fetched later; it is computed on demand, because only few rows are requested.
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
