"""Encodes and decodes candles in Avro (schemas/avro/candle.avsc), by fastavro because candles are few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from k2stream.avro import registry, wire
from k2stream.model import decimals
from k2stream.model.candle import Candle

_LIMIT = 10**38
DECIMALS = tuple(
    field["name"]
    for field in wire.declared("candle")["fields"]
    if isinstance(field["type"], dict) and field["type"].get("logicalType") == "decimal"
)


def encode(row: Iterable[Any], schema_id: int) -> bytes:
    """Encode one candle as a Confluent-framed record.

    `row` has the values in the order of Candle's fields, with decimals as integers at scale 18.

    Raises ValueError for a decimal beyond decimal(38, 18).
    """
    record = dict(zip(Candle._fields, row, strict=True))
    for name in DECIMALS:
        record[name] = _to_bytes(record[name])
    return wire.write(record, "candle", schema_id)


def decode(values: Sequence[bytes | None]) -> list[Candle]:
    """Decode records of any compatible writer's schema to candles.

    Raises ValueError for a record that is not a candle, LookupError for an unknown writer's schema.
    """
    fields = columns(values)
    for name in DECIMALS:
        fields[name] = list(map(decimals.to_decimal, fields[name]))
    return list(map(Candle._make, zip(*fields.values(), strict=True)))


def columns(values: Sequence[bytes | None]) -> dict[str, list[Any]]:
    """Decode records to one list per field, in the order of Candle's fields.

    Decimals are integers at scale 18. Raises the same errors as `decode`.
    """
    records = [wire.read(value or b"", _writer(value), "candle") for value in values]
    fields = {name: [record[name] for record in records] for name in Candle._fields}
    for name in DECIMALS:
        fields[name] = list(map(_from_bytes, fields[name]))
    return fields


def _writer(value: bytes | None) -> Any:
    return registry.writer_schema(wire.schema_id(value))


def _from_bytes(data: bytes) -> int:
    mantissa = int.from_bytes(data, "big", signed=True)
    if abs(mantissa) >= _LIMIT:
        raise ValueError(f"not a candle record: {mantissa} is beyond decimal(38, 18)")
    return mantissa


def _to_bytes(mantissa: int) -> bytes:
    """Encode as big-endian two's complement in the fewest bytes."""
    if abs(mantissa) >= _LIMIT:
        raise ValueError(f"{decimals.to_decimal(mantissa)} is beyond decimal(38, 18)")
    return mantissa.to_bytes(mantissa.bit_length() // 8 + 1, "big", signed=True)
