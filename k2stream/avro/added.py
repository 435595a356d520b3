"""Canonical fields that a later release put at the end of schemas/avro/trade.avsc.

The codec reads and writes the fields of LAID_OUT by column. What comes after them goes along: a record whose
added fields have their defaults is still read and written by column, any other by fastavro.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import fastavro

from k2stream.avro import wire
from k2stream.model.errors import ConfigError

LAID_OUT = (
    *("timestamp", "receive_time", "process_time", "price", "quantity", "side", "raw_offset", "sequence"),
    *("raw_partition", "trade_count", "exchange", "symbol", "canonical_symbol", "trade_id", "vendor_data"),
    *("trade_conditions", "validation_errors"),
)


@cache
def defaults() -> dict[str, Any]:
    """The added fields and their defaults.

    Raises ConfigError when trade.avsc does not begin with LAID_OUT, or an added field has no default.
    """
    fields = wire.declared("trade")["fields"]
    if tuple(field["name"] for field in fields[: len(LAID_OUT)]) != LAID_OUT:
        raise ConfigError(
            "schemas/avro/trade.avsc: put new fields at the end, and leave the others as they are"
        )
    found = fields[len(LAID_OUT) :]
    for field in found:
        if "default" not in field:
            raise ConfigError(
                f"schemas/avro/trade.avsc: {field['name']} needs a default: records without it are read by it"
            )
    return {field["name"]: field["default"] for field in found}


@cache
def default_bytes() -> bytes:
    """The added fields' defaults as they stand at the end of a record."""
    fields = wire.declared("trade")["fields"][len(LAID_OUT) :]
    out = io.BytesIO()
    schema = wire.plain({"type": "record", "name": "Added", "fields": fields})
    fastavro.schemaless_writer(out, schema, defaults())
    return out.getvalue()


@cache
def layouts() -> dict[str, int]:
    """Layouts that are ours but for added fields: how many of them each has."""
    schema = wire.declared("trade")
    counts = range(len(defaults()) + 1)
    return {wire.layout({**schema, "fields": schema["fields"][: len(LAID_OUT) + n]}): n for n in counts}
