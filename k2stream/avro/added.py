"""Canonical fields that a later release appended to schemas/avro/trade.avsc.

The codec reads and writes the fields of LAID_OUT by column. A record whose appended fields all have their
default values is also processed by column; any other record goes through fastavro.
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
    """Return the default value of each appended field, by name.

    Raises ConfigError when trade.avsc does not begin with LAID_OUT, or an appended field has no default.
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
    """Return the Avro encoding of the appended fields' defaults, as found at the end of a record."""
    fields = wire.declared("trade")["fields"][len(LAID_OUT) :]
    out = io.BytesIO()
    schema = wire.plain({"type": "record", "name": "Added", "fields": fields})
    fastavro.schemaless_writer(out, schema, defaults())
    return out.getvalue()


@cache
def layouts() -> dict[str, int]:
    """Map each known version's `wire.layout` to the number of appended fields that the version has."""
    schema = wire.declared("trade")
    counts = range(len(defaults()) + 1)
    return {wire.layout({**schema, "fields": schema["fields"][: len(LAID_OUT) + n]}): n for n in counts}
