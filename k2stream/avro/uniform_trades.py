"""Encodes trades that were parsed by column to the same Avro bytes as trade_encoder.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2stream.avro import added
from k2stream.avro.trade_encoder import fixed_part, texts
from k2stream.columnar import varint
from k2stream.columnar.layout import NotColumnar
from k2stream.columnar.shapes import Part, constant, joined
from k2stream.model import decimals
from k2stream.model.trade import Decimals

Ints = NDArray[np.int64]

MAX_TEXT = 63  # the longest text whose length takes one byte


@dataclass(frozen=True, slots=True)
class UniformTrades:
    """Trades of one exchange, in arrays of equal length.

    `code` is the index of each trade's symbol in `symbols` and `canonical`. Times are µs since 1970. A text
    column is (n, widest) ASCII characters and the width of each row. Each record is one exchange trade
    (`trade_count` 1) without conditions or validation errors.
    """

    exchange: str
    symbols: list[str]
    canonical: list[str]
    code: Ints
    trade_id: Part
    timestamp: Ints
    receive_time: Ints
    price: Decimals
    quantity: Decimals
    taker_buy: NDArray[np.bool_]
    sequence: Ints
    raw_offset: Ints
    vendor_data: dict[str, Part] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.code)


def encode(trades: UniformTrades, *, raw_partition: int, process_time: int, schema_id: int) -> list[bytes]:
    """Encode one Confluent-framed record per trade; `process_time` is in µs since 1970.

    Raises NotColumnar for times or texts that the fast path cannot encode.
    """
    count = len(trades)
    times = (trades.timestamp, trades.receive_time, np.full(count, process_time, np.int64))
    if any(time.min() < varint.FIRST_8_BYTE or time.max() >= varint.END_8_BYTE for time in times):
        raise NotColumnar("a time beyond 1978 to 3111")
    numbers = (decimals.to_fixed16(trades.price), decimals.to_fixed16(trades.quantity))
    parts: list[Part | bytes] = [
        constant(fixed_part(times, numbers, trades.taker_buy, schema_id)),
        varint.pack(trades.raw_offset),
        varint.pack(trades.sequence),
        varint.pack_one(raw_partition) + varint.pack_one(1),
        _names(trades),
        *_text(trades.trade_id),
        varint.pack_one(len(trades.vendor_data)) if trades.vendor_data else b"",
    ]
    for name, column in trades.vendor_data.items():
        parts += [texts(name), *_text(column)]
    end = b"\0" * 3 + added.default_bytes()  # the end of the map, no conditions, no errors
    return joined([*parts, end], count)


def _names(trades: UniformTrades) -> Part:
    """Encode the exchange, symbol and canonical symbol of each trade."""
    pairs = zip(trades.symbols, trades.canonical, strict=True)
    names = [texts(trades.exchange, symbol, canonical) for symbol, canonical in pairs]
    widths = np.array(list(map(len, names)))
    table = np.array(names, f"S{widths.max()}").view(np.uint8).reshape(len(names), -1)
    return table[trades.code], widths[trades.code]


def _text(column: Part) -> tuple[Part, Part]:
    """Return the length bytes of a text column, and its text."""
    cells, widths = column
    if widths.max() > MAX_TEXT:
        raise NotColumnar("a text longer than 63 characters")
    return constant((widths * 2).astype(np.uint8).reshape(-1, 1)), (cells, widths)
