"""Gold: candles, one row per revision until they are merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from k2stream.avro import candles
from k2stream.avro.limits import check_times
from k2stream.batch import RecordBatch
from k2stream.delivery.route import Route, delivered
from k2stream.layers.schema import GOLD, WORD
from k2stream.layers.table import GOLD as GOLD_TABLES

IDENTITY = ["exchange", "canonical_symbol", "open_time"]


def columns(batch: RecordBatch) -> pa.Table:
    """Convert candle records to rows. Raises ValueError, or LookupError for an unknown schema."""
    fields = candles.columns(batch.values)
    check_times([np.array(fields[name], np.int64) for name in ("open_time", "close_time")], 1000)
    check_times([np.array(fields[name], np.int64) for name in ("first_trade_time", "last_trade_time")])
    return delivered(batch, {name: _column(values, name) for name, values in fields.items()}, GOLD)


def _column(values: list[Any], name: str) -> pa.Array:
    kind = GOLD.field(name).type
    if name in candles.DECIMALS:
        return _decimals(values, kind)
    if kind == WORD:
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def _decimals(mantissas: list[int], kind: pa.DataType) -> pa.Array:
    data = b"".join(mantissa.to_bytes(16, "little", signed=True) for mantissa in mantissas)
    return pa.Array.from_buffers(kind, len(mantissas), [None, pa.py_buffer(data)])


def newest(rows: pa.Table) -> pa.Table:
    """The highest revision of each candle; of equal revisions, the last to arrive."""
    position = pa.array(range(len(rows)), pa.int64())
    keys = rows.select([*IDENTITY, "revision"]).append_column("position", position)
    keys = keys.sort_by([("revision", "ascending"), ("position", "ascending")])
    last = keys.group_by(IDENTITY, use_threads=False).aggregate([("position", "last")])
    return rows.take(last["position_last"].sort())


ROUTES = [
    Route(
        table.topic,
        table.hot,
        GOLD,
        columns,
        merge=newest,
        latency="gold" if table.timeframe == "1m" else "",  # longer candles are revised with each commit
        since="last_trade_time",
    )
    for table in GOLD_TABLES.values()
]
