"""Canonical trades in Avro, encoded and decoded by column (schemas/avro/trade.avsc)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2stream.trade import Decimals, HotTrades, TradeColumns


@dataclass(frozen=True, slots=True)
class Trades:
    """All fields of a batch of canonical trades, a column each, in input order.

    Times are µs since 1970. `price` and `quantity` are (n, 16) bytes, big-endian two's complement at scale 18
    (`decimals.from_fixed16` reads them; rows reversed they are decimal128). `vendor_data` is flat: trade i has
    the entries vendor_offsets[i] to vendor_offsets[i + 1] of vendor_keys and vendor_values.
    """

    timestamp: NDArray[np.int64]
    receive_time: NDArray[np.int64]
    price: NDArray[np.uint8]
    quantity: NDArray[np.uint8]
    taker_buy: NDArray[np.bool_]
    raw_offset: NDArray[np.int64]
    sequence: NDArray[np.int64]
    raw_partition: NDArray[np.int64]
    trade_count: NDArray[np.int64]
    exchange: list[str]
    symbol: list[str]
    canonical_symbol: list[str]
    trade_id: list[str]
    process_time: NDArray[np.int64]
    vendor_offsets: NDArray[np.int64]
    vendor_keys: list[str]
    vendor_values: list[str]
    trade_conditions: list[list[str]]
    validation_errors: list[list[str]]

    def __len__(self) -> int:
        return len(self.exchange)


def encode(
    columns: TradeColumns,
    price: Decimals,
    quantity: Decimals,
    *,
    canonical: Sequence[str],
    raw_partition: int,
    raw_offset: Sequence[int] | NDArray[np.int64],
    process_time: int,
    schema_id: int,
    trade_conditions: Sequence[list[str]] | None = None,
    validation_errors: Sequence[list[str]] | None = None,
) -> list[bytes]:
    """One Confluent-framed record a trade, byte for byte what fastavro writes.

    `canonical` is BASE/QUOTE by trade. None for conditions or errors means none in the whole batch.
    """
    raise NotImplementedError


def keys(exchange: str, canonical: Sequence[str]) -> list[bytes]:
    """The record keys, "exchange:BASE/QUOTE"."""
    raise NotImplementedError


def decode_hot(values: Sequence[bytes], keys: Sequence[bytes]) -> HotTrades:
    """What the candles need, read by column. `keys` are the records' Kafka keys.

    A record of another writer schema is read through the registry and fastavro (`registry.writer_schema`).
    """
    raise NotImplementedError


def decode(values: Sequence[bytes]) -> Trades:
    """All fields, for the sinks."""
    raise NotImplementedError
