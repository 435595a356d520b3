"""The Arrow schema of every table.

The canonical schemas derive from schemas/avro, the native ones from the field types of each exchange. Tests
compare the columns of ClickHouse (schemas/clickhouse) and Iceberg (iceberg/tables.py) with them.
"""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
from msgspec import Raw

from k2stream.avro import wire
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Native

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())
"""A string column with few distinct values."""

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
    if isinstance(kind, list):  # a union with null: any column may be null
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


_FIELDS = {str: pa.string(), Raw: pa.string(), int: pa.int64(), bool: pa.bool_()}


def _native(native: Native) -> pa.Schema:
    """An exchange's own fields, and the fields that ingest adds to a record."""
    kinds = {name: _plain(kind) for name, kind in get_type_hints(native.record).items()}
    fields = [pa.field(name, WORD if name in native.words else _FIELDS[kind]) for name, kind in kinds.items()]
    return pa.schema([*fields, *_RECEIVED])


def _plain(kind: Any) -> Any:
    """The type of a field, without None for optional ones."""
    return next(option for option in get_args(kind) or (kind,) if option is not NoneType)


KLINE_CHECKS = pa.schema(
    [
        *(pa.field(name, WORD) for name in ("exchange", "symbol", "canonical_symbol", "timeframe")),
        pa.field("open_time", _LOGICAL["timestamp-millis"]),
        pa.field("revision", pa.int64()),
        pa.field("status", WORD),
        pa.field("checked_time", UTC_MICROSECONDS),
        pa.field("reason", pa.string()),
        *(pa.field(name, pa.list_(pa.string())) for name in ("fields", "ours", "theirs")),
    ]
)
SILVER = _avro("trade")
GOLD = _avro("candle")
BRONZE = {name: _native(exchange.native) for name, exchange in REGISTRY.items()}
