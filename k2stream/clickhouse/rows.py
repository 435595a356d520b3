"""Rows of a ClickHouse table as Arrow: decimals come as integers, so that no digit changes on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

_UNIX = {"ms": "toUnixTimestamp64Milli", "us": "toUnixTimestamp64Micro"}


def select(
    client: Any, schema: pa.Schema, rest: str, values: dict[str, str], limits: dict[str, int]
) -> pa.Table:
    """The columns of `schema` from a query that goes on with `rest` (FROM …) and its `values`."""
    chosen = ", ".join(_expression(field) for field in schema)
    found = client.execute(f"SELECT {chosen} {rest}", values, columnar=True, settings=limits)
    columns = found or [()] * len(schema)
    arrays = [_column(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema)


def _expression(field: pa.Field) -> str:
    kind, name = field.type, f"`{field.name}`"
    if pa.types.is_decimal(kind):
        return f"reinterpretAsInt128(CAST({name} AS Decimal({kind.precision}, {kind.scale})))"
    if pa.types.is_timestamp(kind):
        return f"{_UNIX[kind.unit]}({name})"
    return name


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):
        data = b"".join(mantissa.to_bytes(16, "little", signed=True) for mantissa in values)
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(data)])
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    if pa.types.is_map(kind):
        return pa.array([list(value.items()) for value in values], kind)
    return pa.array(values, kind)
