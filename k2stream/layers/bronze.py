"""Bronze: the trades of each exchange in its own fields and literal digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from k2stream import exchanges, topics
from k2stream.batch import RecordBatch
from k2stream.columnar import arrow
from k2stream.columnar.layout import NotColumnar
from k2stream.delivery.route import Route, delivered
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.layers import table
from k2stream.layers.schema import BRONZE, WORD
from k2stream.model.errors import Unreadable

_INGEST = {"receive_time": "k2_recv", "connection": "k2_conn", "sequence": "k2_seq"}
_POSITION = {"raw_partition", "raw_offset"}

FEW_RECORDS = 300
"""Smaller batches are faster to read record by record."""


def columns(exchange: Exchange, schema: pa.Schema, batch: RecordBatch) -> pa.Table:
    """Convert raw records to rows. Raises Unreadable."""
    kinds = {name: schema.field(name).type for name in schema.names if name not in _POSITION}
    try:
        if len(batch) < FEW_RECORDS:
            raise NotColumnar("few records")
        made = _at_once(exchange, kinds, batch)
    except NotColumnar:
        made = _one_by_one(exchange, kinds, batch)
    made["raw_partition"] = pa.repeat(pa.scalar(batch.tp.partition, pa.int32()), len(batch))
    made["raw_offset"] = pa.array(batch.offsets)
    return delivered(batch, made, schema)


def _at_once(exchange: Exchange, kinds: dict[str, pa.DataType], batch: RecordBatch) -> dict[str, pa.Array]:
    """The columns of records that all have the fields of the first, valid record; else raises NotColumnar.

    Checking one is enough: native records accept any string, and any number that a uniform batch can have.
    """
    _, unreadable = raw.decode(exchange, batch.values[:1])
    if unreadable:
        raise NotColumnar("not a record")
    found = arrow.columns(batch.values)
    made = {}
    for name, kind in kinds.items():
        values = found.get(_INGEST.get(name, name))
        made[name] = pa.nulls(len(batch), kind) if values is None else _as(values, kind)
    return made


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == WORD:
        return values.dictionary_encode()
    return values.view(kind) if pa.types.is_timestamp(kind) else values.cast(kind)


def _one_by_one(exchange: Exchange, kinds: dict[str, pa.DataType], batch: RecordBatch) -> dict[str, pa.Array]:
    """The columns of any records. Raises Unreadable."""
    records, bad = raw.decode(exchange, batch.values)
    if bad:
        raise Unreadable(bad)
    return {name: _column(records, _INGEST.get(name, name), kind) for name, kind in kinds.items()}


def _column(records: Sequence[Any], attribute: str, kind: pa.DataType) -> pa.Array:
    values = list(map(attrgetter(attribute), records))
    if values and type(values[0]) is msgspec.Raw:
        values = [str(value, "utf-8", "replace").strip('"') for value in values]
    if kind == WORD:
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)


def _route(name: str) -> Route:
    exchange = exchanges.get(name)
    exchange = replace(exchange, record=raw.recorded(exchange.native.record))
    schema = BRONZE[name]
    stored = table.BRONZE[name]
    return Route(stored.topic, stored.hot, schema, partial(columns, exchange, schema))


ROUTES = [_route(name) for name in topics.EXCHANGES]
