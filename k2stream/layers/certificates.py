"""Certificates of candles: one row per certified revision, with the whole certificate as JSON."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from k2stream import topics
from k2stream.batch import RecordBatch
from k2stream.delivery.route import Route, delivered
from k2stream.layers.schema import WORD
from k2stream.model import certificate
from k2stream.model.certificate import Certificate, IdRange
from k2stream.model.clock import TIME_LIMIT
from k2stream.model.errors import Unreadable

TABLE = "candle_certificates"

_MILLISECONDS = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        *((name, WORD) for name in ("exchange", "symbol", "canonical_symbol", "timeframe")),
        ("open_time", _MILLISECONDS),
        ("revision", pa.int64()),
        ("issued", _MILLISECONDS),
        *((name, pa.int64()) for name in ("trade_count", "records", "first_id", "last_id")),
        *((name, pa.int64()) for name in ("missing", "filled")),
        ("raw_partition", pa.int32()),
        ("raw_offset", pa.int64()),
        *((name, pa.string()) for name in ("sha256", "reason", "certificate")),
    ]
)


def columns(batch: RecordBatch) -> pa.Table:
    """Convert certificates to rows. Raises Unreadable."""
    found: list[Certificate] = []
    bad: dict[int, str] = {}
    for row, value in enumerate(batch.values):
        try:
            found.append(_read(value or b""))
        except ValueError as error:
            bad[row] = " ".join(str(error).split())[:200]
    if bad:
        raise Unreadable(bad)
    made = {
        name: [getattr(item, name) for item in found]
        for name in SCHEMA.names
        if name not in ("issued", "missing", "filled", "certificate")
    }
    made["issued"] = [item.revisions[-1].time if item.revisions else 0 for item in found]
    made["missing"] = [_count(item.missing) for item in found]
    made["filled"] = [_count(item.filled) for item in found]
    made["certificate"] = [(value or b"").decode() for value in batch.values]
    return delivered(batch, {name: _column(values, name) for name, values in made.items()}, SCHEMA)


def _read(value: bytes) -> Certificate:
    found = certificate.decode(value)
    times = (found.open_time, found.close_time, *(item.time for item in found.revisions))
    if not all(0 <= time * 1000 < TIME_LIMIT for time in times):
        raise ValueError("not a certificate: a time that no table can hold")
    return found


def _count(ids: Iterable[IdRange] | None) -> int | None:
    return None if ids is None else sum(item.last - item.first + 1 for item in ids)


def _column(values: list[object], name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    if kind == WORD:
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


ROUTE = Route(topics.CERTIFICATES, TABLE, SCHEMA, columns)
