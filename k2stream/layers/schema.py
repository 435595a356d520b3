"""The Arrow schema of every table: the canonical ones derive from schemas/avro, the native ones are here.

ClickHouse's columns (schemas/clickhouse) and Iceberg's (iceberg/tables.py) are held to these.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from k2stream.avro import wire

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())
"""A string of few different values."""

_WORDS = {"exchange", "symbol", "canonical_symbol", "timeframe", "side"}
_PRIMITIVE = {
    "long": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
}
_LOGICAL = {"timestamp-micros": UTC_MICROSECONDS, "timestamp-millis": pa.timestamp("ms", tz="UTC")}

_RECEIVED = [
    pa.field("receive_time", UTC_MICROSECONDS),
    pa.field("connection", WORD),
    pa.field("sequence", pa.int64()),
    pa.field("raw_partition", pa.int32()),
    pa.field("raw_offset", pa.int64()),
]


def _avro(name: str) -> pa.Schema:
    fields = wire.declared(name)["fields"]
    kinds = ((field["name"], WORD if field["name"] in _WORDS else _arrow(field["type"])) for field in fields)
    return pa.schema([pa.field(*field) for field in kinds])


def _arrow(kind: Any) -> pa.DataType:
    if isinstance(kind, str):
        return _PRIMITIVE[kind]
    if isinstance(kind, list):  # a union with null: every column may be null
        (kind,) = (option for option in kind if option != "null")
        return _arrow(kind)
    match kind:
        case {"logicalType": "decimal"}:
            return pa.decimal128(kind["precision"], kind["scale"])
        case {"logicalType": logical}:
            return _LOGICAL[logical]
        case {"type": "map"}:
            return pa.map_(pa.string(), _arrow(kind["values"]))
        case {"type": "array"}:
            return pa.list_(_arrow(kind["items"]))
    raise TypeError(f"Avro type {kind} has no Arrow type in k2stream/layers/schema.py")


def _native(**fields: pa.DataType) -> pa.Schema:
    return pa.schema([*(pa.field(name, kind) for name, kind in fields.items()), *_RECEIVED])


SILVER = _avro("trade")
GOLD = _avro("candle")
BRONZE = {
    "binance": _native(
        e=WORD,
        E=pa.int64(),
        s=WORD,
        t=pa.int64(),
        a=pa.int64(),
        b=pa.int64(),
        f=pa.int64(),
        l=pa.int64(),
        p=pa.string(),
        q=pa.string(),
        T=pa.int64(),
        m=pa.bool_(),
        M=pa.bool_(),
    ),
    "kraken": _native(
        pair=WORD,
        price=pa.string(),
        volume=pa.string(),
        time=pa.string(),
        side=WORD,
        orderType=WORD,
        misc=pa.string(),
    ),
    "coinbase": _native(
        trade_id=pa.string(),
        product_id=WORD,
        price=pa.string(),
        size=pa.string(),
        side=WORD,
        time=pa.string(),
        type=WORD,
    ),
}
