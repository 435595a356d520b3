"""K2's own layout: the columns of `read_candles` and `read_trades`, with exact decimals."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from k2stream.export.layout import FileLayout, Subject, plain_words
from k2stream.read.columns import CANDLES, HEALTH, texts

_CANDLES = [*CANDLES.names, "final", "revision", HEALTH.name]


def _file_name(subject: Subject) -> str:
    instrument, timeframe = subject
    name = f"{instrument.exchange}-{instrument.canonical.replace('/', '-')}"
    return f"{name}-{timeframe.name}" if timeframe else f"{name}-trades"


def _candles(rows: pa.Table, form: str) -> pa.Table:
    return _written(rows.select(_CANDLES), form)


def _written(rows: pa.Table, form: str) -> pa.Table:
    rows = plain_words(rows)
    if form != "csv":
        return rows
    for number, field in enumerate(rows.schema):
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(number, field.name, texts(rows[field.name].combine_chunks()))
        elif pa.types.is_nested(field.type):
            rows = rows.set_column(number, field.name, _json(rows[field.name]))
    return rows


def _json(column: pa.ChunkedArray) -> pa.Array:
    is_map = pa.types.is_map(column.type)
    values = column.to_pylist()
    return pa.array(
        [msgspec.json.encode(dict(value) if is_map else value).decode() for value in values], pa.string()
    )


LAYOUT = FileLayout("k2", ("parquet", "csv", "feather"), "exact", _file_name, _candles, _written)
