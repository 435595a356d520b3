"""Encodes canonical trades by column: fixed-width bytes by numpy, the strings after them by joins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.avro import added, wire
from k2stream.columnar import varint
from k2stream.columnar.shapes import constant, joined
from k2stream.model import decimals
from k2stream.model.trade import Decimals, TradeColumns

MISFIT = "\x80"  # stands for a length above 63, which does not fit in the one byte of the fast path


class Made(dict[Any, Any]):
    """A dict that computes each value on first access: `map(made.__getitem__, column)` is one pass."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self._make(key)
        return value


_LENGTHS = Made(lambda length: chr(2 * length) if length < 64 else MISFIT)
"""The length byte before a string, as a character, by the string's length."""

Texts = str | list[str]
"""A column of text pieces; a single string stands for the same piece in every row."""


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
    """Encode one Confluent-framed record per trade, byte for byte as fastavro would.

    `canonical` is the BASE/QUOTE of each trade, `process_time` is in µs since 1970. None for conditions or
    errors means that no trade of the batch has any. An empty vendor field is omitted.
    """
    count = len(columns)
    if not count:
        return []
    numbers: dict[str, NDArray[Any]] = {
        "timestamp": np.asarray(columns.timestamp, np.int64),
        "receive_time": np.asarray(columns.receive_time, np.int64),
        "process_time": np.full(count, process_time, np.int64),
        "price": decimals.to_fixed16(price),
        "quantity": decimals.to_fixed16(quantity),
        "raw_offset": np.asarray(raw_offset, np.int64),
        "sequence": np.array(columns.sequence, np.int64),
        "raw_partition": np.full(count, raw_partition, np.int64),
        "trade_count": np.array(columns.trade_count, np.int64),
    }
    tails = _tails(columns, canonical, trade_conditions, validation_errors)
    heads = _heads(numbers, columns.taker_buy, schema_id)
    records: list[bytes] = list(map(add, heads, map(str.encode, tails)))
    if end := added.default_bytes():
        records = [record + end for record in records]
    for row in sorted({*_misfits(numbers, tails), *_valued(columns)}):
        record: dict[str, Any] = {name: column[row].tolist() for name, column in numbers.items()}
        record |= {
            "price": numbers["price"][row].tobytes(),
            "quantity": numbers["quantity"][row].tobytes(),
            "side": "BUY" if columns.taker_buy[row] else "SELL",
            "exchange": columns.exchange,
            "symbol": columns.symbol[row],
            "canonical_symbol": canonical[row],
            "trade_id": columns.trade_id[row],
            "vendor_data": {name: data[row] for name, data in columns.vendor_data.items() if data[row]},
            "trade_conditions": trade_conditions[row] if trade_conditions else [],
            "validation_errors": validation_errors[row] if validation_errors else [],
        }
        record |= {name: data[row] for name, data in columns.added.items() if data[row] is not None}
        records[row] = wire.write(record, "trade", schema_id)
    return records


def keys(exchange: str, canonical: Sequence[str]) -> list[bytes]:
    """Return the record keys, "exchange:BASE/QUOTE"."""
    made = Made(lambda name: f"{exchange}:{name}".encode())
    return list(map(made.__getitem__, canonical))


def _heads(numbers: dict[str, NDArray[Any]], taker_buy: Sequence[bool], schema_id: int) -> list[bytes]:
    """Encode the fields up to trade_count; valid only for times that take 8 bytes."""
    times = [numbers[name] for name in ("timestamp", "receive_time", "process_time")]
    sides = np.array(taker_buy, np.bool_)
    fixed = fixed_part(times, (numbers["price"], numbers["quantity"]), sides, schema_id)
    rest = (varint.pack(numbers[name]) for name in ("raw_offset", "sequence", "raw_partition", "trade_count"))
    return joined([constant(fixed), *rest], len(taker_buy))


def fixed_part(
    times: Sequence[NDArray[np.int64]],
    decimals: Sequence[NDArray[np.uint8]],
    taker_buy: NDArray[np.bool_],
    schema_id: int,
) -> NDArray[np.uint8]:
    """Encode (n, 62) bytes: header, times, price and quantity as fixed(16), and side."""
    columns = [*map(varint.pack8, times), *decimals]
    at = wire.HEADER.size
    out = np.empty((len(taker_buy), at + sum(column.shape[1] for column in columns) + 1), np.uint8)
    out[:, :at] = np.frombuffer(wire.header(schema_id), np.uint8)
    for column in columns:
        end = at + column.shape[1]
        out[:, at:end].view(np.uint64)[...] = column.view(np.uint64)
        at = end
    out[:, at] = (taker_buy.view(np.uint8) ^ 1) << 1
    return out


def texts(*strings: str) -> bytes:
    """Encode strings of fewer than 64 ASCII characters, each after its length byte."""
    return "".join(map(_string, strings)).encode("ascii")


def _tails(
    columns: TradeColumns,
    canonical: Sequence[str],
    trade_conditions: Sequence[list[str]] | None,
    validation_errors: Sequence[list[str]] | None,
) -> list[str]:
    """Encode the fields from exchange on as text; a row that is not ASCII must be encoded by fastavro."""
    count = len(columns)
    exchange = _string(columns.exchange)
    pieces: list[Texts] = [
        list(map(Made(lambda symbol: exchange + _string(symbol)).__getitem__, columns.symbol)),
        list(map(Made(_string).__getitem__, canonical)),
        *_strings(columns.trade_id),
    ]
    pieces += _map(columns.vendor_data, count)
    for array in (trade_conditions, validation_errors):
        pieces.append("\0" if array is None else list(map(_array, array)))
    columns_of_text = [repeat(piece) if isinstance(piece, str) else piece for piece in _merged(pieces)]
    return list(map("".join, zip(*columns_of_text, strict=False)))


def _string(text: str) -> str:
    return str(_LENGTHS[len(text)]) + text


def _array(items: Sequence[str]) -> str:
    return f"{_LENGTHS[len(items)]}{''.join(map(_string, items))}\0" if items else "\0"


def _strings(column: list[str]) -> list[Texts]:
    """Return the pieces of a string column: its length bytes, then the strings."""
    lengths = list(map(len, column))
    if lengths.count(lengths[0]) == len(lengths):
        return [_LENGTHS[lengths[0]], column]
    return [list(map(_LENGTHS.__getitem__, lengths)), column]


def _map(data: dict[str, list[str]], count: int) -> list[Texts]:
    """Return the pieces of a map column: the number of entries, the entries, the end marker."""
    entries: list[Texts] = []
    present = np.zeros(count, np.int64)
    for name, column in data.items():
        key = _string(name)
        missing = column.count("")
        present += np.array(list(map(bool, column)), np.int64) if missing else 1
        if not missing:
            entries += [key, *_strings(column)]
        elif missing < count:
            entries.append([key + _string(text) if text else "" for text in column])
    if present.min() == present.max():
        return [_LENGTHS[int(present[0])] if present[0] else "", *entries, "\0"]
    return [[_LENGTHS[number] if number else "" for number in present.tolist()], *entries, "\0"]


def _merged(pieces: Iterable[Texts]) -> list[Texts]:
    """Merge adjacent pieces that are the same in every row into one."""
    merged: list[Texts] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def _valued(columns: TradeColumns) -> set[int]:
    """Return rows with a value in an appended field."""
    return {row for data in columns.added.values() for row, value in enumerate(data) if value is not None}


def _misfits(numbers: dict[str, NDArray[Any]], tails: list[str]) -> list[int]:
    """Return rows that the fast path cannot encode."""
    odd = np.zeros(len(tails), np.bool_)
    for name in ("timestamp", "receive_time", "process_time"):
        times = numbers[name]
        odd |= (times < varint.FIRST_8_BYTE) | (times >= varint.END_8_BYTE)
    if not "".join(tails).isascii():
        odd |= [not tail.isascii() for tail in tails]
    rows: list[int] = np.flatnonzero(odd).tolist()
    return rows
