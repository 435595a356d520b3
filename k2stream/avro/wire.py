"""The Confluent wire format (a zero byte, a 4-byte schema id, then Avro), and our own schemas."""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from typing import Any

import fastavro
from fastavro.schema import to_parsing_canonical_form

from k2stream.resources import SCHEMAS

_MALFORMED = (
    *(EOFError, ValueError, LookupError, OverflowError, MemoryError, TypeError, struct.error),
    fastavro.read.SchemaResolutionError,
)
"""Errors that fastavro may raise for bytes that are not a valid record."""

HEADER = struct.Struct(">bI")


def header(schema_id: int) -> bytes:
    """Return the 5 bytes that precede a record."""
    return HEADER.pack(0, schema_id)


def schema_id(value: bytes | None) -> int:
    """Return a record's schema id. Raises ValueError when it is not in the Confluent wire format."""
    if value is None or len(value) < HEADER.size or value[0] != 0:
        raise ValueError(f"not a record in the Confluent wire format: starts with {(value or b'')[:5]!r}")
    return int(HEADER.unpack_from(value)[1])


@cache
def declared(name: str) -> Any:
    """Return the schema of schemas/avro/<name>.avsc as parsed JSON."""
    return json.loads((SCHEMAS / "avro" / f"{name}.avsc").read_text(encoding="utf-8"))


def plain(schema: Any) -> Any:
    """Parse a schema for fastavro without logical types, so that times stay integers and decimals bytes."""
    return fastavro.parse_schema(_without_logical_types(schema))


@cache
def declared_plain(name: str) -> Any:
    """Return `plain` of schemas/avro/<name>.avsc."""
    return plain(declared(name))


def layout(schema: Any) -> str:
    """Return a text that is equal for schemas with the same encoding: no docs, defaults or logical types."""
    return str(to_parsing_canonical_form(schema))


def write(record: dict[str, Any], name: str, schema_id: int) -> bytes:
    """Encode one record by fastavro, from times as integers and decimals as bytes."""
    out = io.BytesIO()
    out.write(header(schema_id))
    fastavro.schemaless_writer(out, declared_plain(name), record)
    return out.getvalue()


def read(value: bytes, writer: Any, name: str) -> dict[str, Any]:
    """Decode one record by fastavro, from its writer's `plain` schema to that of schemas/avro/<name>.avsc.

    Times are integers, decimals bytes. Raises ValueError when the bytes are not a record of that schema.
    """
    body = io.BytesIO(value)
    body.seek(HEADER.size)
    try:
        record: Any = fastavro.schemaless_reader(body, writer, declared_plain(name))
    except _MALFORMED as error:
        raise ValueError(f"not a {name} record: {error or type(error).__name__}") from None
    if body.tell() != len(value):
        raise ValueError(f"not a {name} record: {len(value) - body.tell()} bytes after its end")
    return dict(record)


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _without_logical_types(value)
            for key, value in schema.items()
            if key not in ("logicalType", "__fastavro_parsed__", "__named_schemas")
        }
    return [_without_logical_types(item) for item in schema] if isinstance(schema, list) else schema
