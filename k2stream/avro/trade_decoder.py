"""Decodes canonical trades by column: numbers from one numpy view of the batch, strings on demand.

The fast path supports neither other writers' schemas, nor times before 1978, strings of 64 bytes or more,
and appended fields with a value. A batch with such a record is read by fastavro, with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.avro import added, registry, wire
from k2stream.avro.limits import check_times
from k2stream.columnar import varint
from k2stream.columnar.texts import Ints, TextLists, Texts, starts
from k2stream.model import decimals
from k2stream.model.trade import BACKFILLED, CandleInput

_TIMES, _PRICE, _QUANTITY, _SIDE, _NUMBERS = 5, 29, 45, 61, 62
_WIDTH = _NUMBERS + 4 * 10 + 10
"""The most bytes that a record's numbers take; the strings of a record with fewer begin before that."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The columns that precede the strings.

    Times are µs since 1970. `price` and `quantity` are (n, 16) bytes, big-endian, at scale 18.
    """

    timestamp: Ints
    receive_time: Ints
    process_time: Ints
    price: NDArray[np.uint8]
    quantity: NDArray[np.uint8]
    taker_buy: NDArray[np.bool_]
    raw_offset: Ints
    sequence: Ints
    raw_partition: Ints
    trade_count: Ints


@dataclass(frozen=True, slots=True)
class Trades(Numbers):
    """All fields of a batch of canonical trades, one column per field, in input order.

    `decimals.from_fixed16` reads `price` and `quantity`; with the bytes of each row reversed they are Arrow's
    decimal128. `vendor_data` is flat: trade i has the entries from vendor_offsets[i] to before
    vendor_offsets[i + 1] of vendor_keys and vendor_values.
    """

    exchange: Texts
    symbol: Texts
    canonical_symbol: Texts
    trade_id: Texts
    vendor_offsets: Ints
    vendor_keys: Texts
    vendor_values: Texts
    trade_conditions: TextLists
    validation_errors: TextLists
    added: Mapping[str, Sequence[Any]]
    """Values of the appended fields (k2stream/avro/added.py) by name, as fastavro reads them."""

    def __len__(self) -> int:
        return len(self.timestamp)


def decode_hot(values: Sequence[bytes | None], keys: Sequence[bytes | None]) -> CandleInput:
    """Decode by column only the fields that candles need. `keys` are the records' Kafka keys.

    Raises ValueError for a record that is not a canonical trade, LookupError for an unknown writer's schema.
    """
    fast = _numbers(values)
    numbers = fast[0] if fast else _slow(values)
    check_times([numbers.process_time])  # which candles do not need, and sinks cannot store
    names = dict.fromkeys(keys)
    index = dict(zip(names, range(len(names)), strict=True))
    return CandleInput(
        keys=[(name or b"").decode() for name in names],
        key=np.fromiter(map(index.__getitem__, keys), np.int64, len(keys)),
        timestamp=numbers.timestamp,
        receive_time=numbers.receive_time,
        price=decimals.from_fixed16(numbers.price),
        quantity=decimals.from_fixed16(numbers.quantity),
        taker_buy=numbers.taker_buy,
        sequence=numbers.sequence,
        raw_partition=numbers.raw_partition,
        raw_offset=numbers.raw_offset,
        trade_count=numbers.trade_count,
        backfilled=partial(_backfilled, values),
    )


def _backfilled(values: Sequence[bytes | None], rows: Ints) -> NDArray[np.bool_]:
    wanted = [values[row] for row in rows.tolist()]
    try:
        conditions = decode(wanted).trade_conditions.tolist()
    except ValueError:  # only the numbers of each record were read before
        conditions = list(map(_conditions, wanted))
    return np.array([BACKFILLED in names for names in conditions], np.bool_)


def _conditions(value: bytes | None) -> list[str]:
    """The conditions of a trade; none where its strings cannot be read."""
    with suppress(ValueError):
        return decode([value]).trade_conditions.tolist()[0]
    return []


def decode(values: Sequence[bytes | None]) -> Trades:
    """Decode all fields. Raises ValueError and LookupError as `decode_hot` does."""
    fast = _numbers(values)
    return (_with_strings(values, *fast) if fast else None) or _slow(values)


def _numbers(values: Sequence[bytes | None]) -> tuple[Numbers, Ints] | None:
    """Return the columns before the strings and their size in bytes per record.

    Returns None if the fast path does not support a record.
    """
    table = np.array(values, f"S{_WIDTH}").view(np.uint8).reshape(len(values), _WIDTH)
    if not len(table) or table[:, 0].any() or _added(table[:, 1:_TIMES]) is None:
        return None
    times, fits = varint.unpack8(table[:, _TIMES:_PRICE].reshape(-1, 8))
    side = table[:, _SIDE]
    if not fits.all() or (side & 0xFD).any():
        return None
    flat, start = table.ravel(), np.arange(len(table)) * _WIDTH
    raw_offset, at = varint.unpack(flat, start + _NUMBERS)
    sequence, at = varint.unpack(flat, at)
    raw_partition, at = varint.unpack(flat, at)
    trade_count, at = varint.unpack(flat, at)
    timestamp, receive_time, process_time = np.ascontiguousarray(times.reshape(-1, 3).T)
    numbers = Numbers(
        timestamp=timestamp,
        receive_time=receive_time,
        process_time=process_time,
        price=table[:, _PRICE:_QUANTITY],
        quantity=table[:, _QUANTITY:_SIDE],
        taker_buy=side == 0,
        raw_offset=raw_offset,
        sequence=sequence,
        raw_partition=raw_partition,
        trade_count=trade_count,
    )
    return numbers, at - start


def _added(ids: NDArray[np.uint8]) -> set[int] | None:
    """Return the numbers of appended fields that the writers' schemas have; None if any schema is not ours.

    `ids` are schema ids as (n, 4) bytes.
    """
    words = np.ascontiguousarray(ids).view(">u4").ravel()
    different = words[:1] if (words == words[0]).all() else np.unique(words)
    known = added.layouts()
    found = {known.get(registry.layout(int(schema_id))) if schema_id else None for schema_id in different}
    return None if None in found else {count for count in found if count is not None}


def _with_strings(values: Sequence[Any], numbers: Numbers, size: Ints) -> Trades | None:
    """Decode the strings that follow the numbers; None if the fast path does not support a record."""
    joined = b"".join(values)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    ends = np.cumsum(lengths)
    strings = _Strings(joined, ends - lengths + size)
    exchange, symbol, canonical_symbol, trade_id = (strings.column() for _ in range(4))
    vendor_offsets, vendor = strings.blocks(2)
    conditions_offsets, conditions = strings.blocks(1)
    errors_offsets, errors = strings.blocks(1)
    strings.skip(_end(values))
    if not strings.fits or (strings.at != ends).any():
        return None
    return Trades(
        **{name: getattr(numbers, name) for name in Numbers.__slots__},
        exchange=strings.texts(exchange),
        symbol=strings.texts(symbol),
        canonical_symbol=strings.texts(canonical_symbol),
        trade_id=strings.texts(trade_id),
        vendor_offsets=vendor_offsets,
        vendor_keys=strings.texts(vendor[0::2]),
        vendor_values=strings.texts(vendor[1::2]),
        trade_conditions=TextLists(conditions_offsets, strings.texts(conditions)),
        validation_errors=TextLists(errors_offsets, strings.texts(errors)),
        added={name: [default] * len(values) for name, default in added.defaults().items()},
    )


def _end(values: Sequence[Any]) -> bytes:
    """Return the bytes of the appended fields' defaults; none when the writer's schema has no such fields."""
    end = added.default_bytes()
    if not end:
        return end
    ids = np.frombuffer(b"".join(value[1:_TIMES] for value in values), np.uint8).reshape(-1, 4)
    return b"" if _added(ids) == {0} else end


class _Strings:
    """Reads the strings of all records in parallel; `at` is the next position of each record.

    `fits` becomes False when a length takes more than one byte or an array has more than one block.
    """

    def __init__(self, joined: bytes, at: Ints) -> None:
        self._data = np.frombuffer(joined + b"\0", np.uint8)
        self.at = at
        self.fits = True

    def column(self) -> Ints:
        """Read the next string of each record; returns (n, 2) starts and ends."""
        self.at, spans = self._span(self.at)
        return spans

    def blocks(self, strings_per_item: int) -> tuple[Ints, Ints]:
        """Read the next array or map; returns the items' offsets in the flat list, and the strings' spans."""
        counts = self._length(self.at)
        offsets = starts(counts)
        spans = np.empty((int(offsets[-1]) * strings_per_item, 2), np.int64)
        at = self.at + 1
        for item in range(int(counts.max())):
            rows = np.flatnonzero(counts > item)
            for part in range(strings_per_item):
                at[rows], spans[(offsets[rows] + item) * strings_per_item + part] = self._span(at[rows])
        filled = counts > 0
        self.fits &= not self._data.take(at[filled], mode="clip").any()
        self.at = at + filled
        return offsets, spans

    def skip(self, end: bytes) -> None:
        """Skip bytes that must come next in every record; otherwise `fits` becomes False."""
        for byte in end:
            self.fits &= bool((self._data.take(self.at, mode="clip") == byte).all())
            self.at = self.at + 1

    def texts(self, spans: Ints) -> Texts:
        """Return the strings at spans. Raises UnicodeDecodeError."""
        return Texts.at(self._data, spans[:, 0], spans[:, 1])

    def _span(self, at: Ints) -> tuple[Ints, Ints]:
        start = at + 1
        end = start + self._length(at)
        return end, np.stack((start, end), axis=1)

    def _length(self, at: Ints) -> Ints:
        byte = self._data.take(at, mode="clip")
        self.fits &= not (byte & 0x81).any()
        return (byte >> 1).astype(np.int64)


def _slow(values: Sequence[bytes | None]) -> Trades:
    """Decode records of any kind by fastavro."""
    rows = [_record(value) for value in values]

    def column(name: str) -> list[Any]:
        return [row[name] for row in rows]

    def integers(name: str) -> Ints:
        return np.array(column(name), np.int64)

    def fixed(name: str) -> NDArray[np.uint8]:
        return np.frombuffer(b"".join(column(name)), np.uint8).reshape(-1, 16)

    return Trades(
        timestamp=integers("timestamp"),
        receive_time=integers("receive_time"),
        process_time=integers("process_time"),
        price=fixed("price"),
        quantity=fixed("quantity"),
        taker_buy=np.array([side == "BUY" for side in column("side")], np.bool_),
        raw_offset=integers("raw_offset"),
        sequence=integers("sequence"),
        raw_partition=integers("raw_partition"),
        trade_count=integers("trade_count"),
        exchange=Texts.from_strings(column("exchange")),
        symbol=Texts.from_strings(column("symbol")),
        canonical_symbol=Texts.from_strings(column("canonical_symbol")),
        trade_id=Texts.from_strings(column("trade_id")),
        vendor_offsets=starts(np.array([len(row["vendor_data"]) for row in rows], np.int64)),
        vendor_keys=Texts.from_strings(name for row in rows for name in row["vendor_data"]),
        vendor_values=Texts.from_strings(text for row in rows for text in row["vendor_data"].values()),
        trade_conditions=TextLists.from_lists(column("trade_conditions")),
        validation_errors=TextLists.from_lists(column("validation_errors")),
        added={name: column(name) for name in added.defaults()},
    )


def _record(value: bytes | None) -> dict[str, Any]:
    writer = registry.writer_schema(wire.schema_id(value))
    return wire.read(value or b"", writer, "trade")
