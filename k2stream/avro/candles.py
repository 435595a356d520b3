"""Candles in Avro (schemas/avro/candle.avsc), by fastavro: they are few."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from k2stream import decimals
from k2stream.avro import registry, wire
from k2stream.candle import Candle

_DECIMALS = tuple(
    field["name"]
    for field in wire.declared("candle")["fields"]
    if isinstance(field["type"], dict) and field["type"].get("logicalType") == "decimal"
)


def encode(candles: Sequence[Candle], schema_id: int) -> list[bytes]:
    """One Confluent-framed record a candle; ValueError for a number beyond decimal(38, 18)."""
    return [wire.write(_record(candle), "candle", schema_id) for candle in candles]


def decode(values: Sequence[bytes | None]) -> list[Candle]:
    """The candles of records, of any compatible writer's schema.

    Raises ValueError for a record that is no candle, LookupError for an unknown writer's schema.
    """
    return [_candle(wire.read(value or b"", _writer(value), "candle")) for value in values]


def _writer(value: bytes | None) -> Any:
    return registry.writer_schema(wire.schema_id(value))


def _record(candle: Candle) -> dict[str, Any]:
    record = candle._asdict()
    for name in _DECIMALS:
        record[name] = _to_bytes(record[name])
    return record


def _candle(record: dict[str, Any]) -> Candle:
    for name in _DECIMALS:
        record[name] = decimals.to_decimal(int.from_bytes(record[name], "big", signed=True))
    return Candle(**record)


def _to_bytes(value: Decimal) -> bytes:
    """The shortest big-endian two's complement at scale 18."""
    mantissa = decimals.to_int(value)
    if abs(mantissa) >= 10**38:
        raise ValueError(f"{value} is beyond decimal(38, 18)")
    return mantissa.to_bytes(mantissa.bit_length() // 8 + 1, "big", signed=True)
