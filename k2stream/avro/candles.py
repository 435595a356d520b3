"""Candles in Avro (schemas/avro/candle.avsc), by fastavro: they are few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from k2stream import decimals
from k2stream.avro import registry, wire
from k2stream.candle import Candle

_LIMIT = 10**38
_DECIMALS = tuple(
    field["name"]
    for field in wire.declared("candle")["fields"]
    if isinstance(field["type"], dict) and field["type"].get("logicalType") == "decimal"
)


def encode(row: Iterable[Any], schema_id: int) -> bytes:
    """A Confluent-framed record of a candle's fields in order, decimals as integers at scale 18.

    Raises ValueError for a decimal beyond decimal(38, 18).
    """
    record = dict(zip(Candle._fields, row, strict=True))
    for name in _DECIMALS:
        record[name] = _to_bytes(record[name])
    return wire.write(record, "candle", schema_id)


def decode(values: Sequence[bytes | None]) -> list[Candle]:
    """The candles of records, of any compatible writer's schema.

    Raises ValueError for a record that is no candle, LookupError for an unknown writer's schema.
    """
    return [_candle(wire.read(value or b"", _writer(value), "candle")) for value in values]


def _writer(value: bytes | None) -> Any:
    return registry.writer_schema(wire.schema_id(value))


def _candle(record: dict[str, Any]) -> Candle:
    for name in _DECIMALS:
        record[name] = decimals.to_decimal(int.from_bytes(record[name], "big", signed=True))
    return Candle(**record)


def _to_bytes(mantissa: int) -> bytes:
    """The shortest big-endian two's complement."""
    if abs(mantissa) >= _LIMIT:
        raise ValueError(f"{decimals.to_decimal(mantissa)} is beyond decimal(38, 18)")
    return mantissa.to_bytes(mantissa.bit_length() // 8 + 1, "big", signed=True)
