"""The ClickHouse columns of added canonical fields (pure); k2stream/avro/added.py lists the fields."""

from __future__ import annotations

import json

import pyarrow as pa

from k2stream.avro import added
from k2stream.layers import schema
from k2stream.layers.table import SILVER

TABLE = SILVER.hot

_TYPES = {
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.float64(): "Float64",
    pa.bool_(): "Bool",
    pa.string(): "String",
    pa.timestamp("us", tz="UTC"): "DateTime64(6, 'UTC')",
    pa.timestamp("ms", tz="UTC"): "DateTime64(3, 'UTC')",
}


def columns() -> dict[str, str]:
    """The column of each added field: its type, and the default that older rows read.

    A default of null makes the column Nullable. Times default to 1970, arrays and maps to empty.
    """
    found = {}
    for name, default in added.defaults().items():
        kind = clickhouse_type(schema.SILVER.field(name).type)
        if default is None and not kind.startswith(("Array", "Map")):
            found[name] = f"Nullable({kind})"
        elif isinstance(default, bool | int | float | str) and not kind.startswith("DateTime64"):
            found[name] = f"{kind} DEFAULT {_literal(default)}"
        else:
            found[name] = kind
    return found


def clickhouse_type(kind: pa.DataType) -> str:
    """The ClickHouse column type for an Arrow type. Raises KeyError for a type without one."""
    if pa.types.is_dictionary(kind):
        return f"LowCardinality({clickhouse_type(kind.value_type)})"
    if pa.types.is_list(kind):
        return f"Array({clickhouse_type(kind.value_type)})"
    if pa.types.is_map(kind):
        return f"Map({clickhouse_type(kind.key_type)}, {clickhouse_type(kind.item_type)})"
    if pa.types.is_decimal(kind):
        return f"Decimal({kind.precision}, {kind.scale})"
    return _TYPES[kind]


def _literal(value: bool | float | str) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value)
