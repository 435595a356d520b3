"""Gold: candles, a row a revision until they are merged."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from k2stream import topics
from k2stream.avro import candles
from k2stream.batch import RecordBatch
from k2stream.candle import TIMEFRAMES, Candle
from k2stream.sinks.route import Route, delivered
from k2stream.sinks.schema import GOLD, WORD

IDENTITY = ["exchange", "canonical_symbol", "open_time"]


def columns(batch: RecordBatch) -> pa.Table:
    """Candle records to rows."""
    fields = zip(*candles.decode(batch.values), strict=True)
    made = {name: _column(list(values), name) for name, values in zip(Candle._fields, fields, strict=True)}
    return delivered(batch, made, GOLD)


def _column(values: list[Any], name: str) -> pa.Array:
    kind = GOLD.field(name).type
    if kind == WORD:
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def newest(rows: pa.Table) -> pa.Table:
    """The highest revision of each candle; of equal ones the last that came."""
    position = pa.array(range(len(rows)), pa.int64())
    keys = rows.select([*IDENTITY, "revision"]).append_column("position", position)
    keys = keys.sort_by([("revision", "ascending"), ("position", "ascending")])
    last = keys.group_by(IDENTITY, use_threads=False).aggregate([("position", "last")])
    return rows.take(last["position_last"].sort())


ROUTES = [
    Route(topics.ohlcv(name), f"ohlcv_{name}", GOLD, columns, merge=newest, latency="gold")
    for name in TIMEFRAMES
]
