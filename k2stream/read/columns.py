"""The columns that readers return, and the forms of their decimals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import pyarrow as pa

from k2stream.history.timeframes import Timeframe
from k2stream.layers.schema import GOLD
from k2stream.model.decimals import plain
from k2stream.model.errors import ConfigError

Decimals = Literal["exact", "float", "string"]
"""decimal128 with all digits; the nearest float64, which has about 16 digits; text with all digits."""

_INTERNAL = ("revision", "final", "raw_partition", "raw_offset")

HEALTH = pa.field("feed_healthy", pa.bool_())
"""Whether the feed was up and lost nothing during a candle's window; null where that is unknown."""

PAGE = pa.schema([*GOLD, HEALTH])
"""What every source returns of candles."""

CANDLES = pa.schema([field for field in GOLD if field.name not in _INTERNAL])
QUALITY = pa.schema(
    [
        pa.field("final", pa.bool_()),
        pa.field("revision", pa.int64()),
        HEALTH,
        pa.field("empty_before", pa.int64()),
    ]
)
"""What is known of whether a candle is whole. `empty_before` is the number of windows without a candle right
before it, null for the first one."""


def candle_columns(rows: pa.Table, timeframe: Timeframe, quality: bool) -> pa.Table:
    """The columns of CANDLES, and of QUALITY if asked for, from ascending rows of PAGE."""
    if not quality:
        return rows.select(CANDLES.names)
    empty = pa.array(_empty_before(rows, timeframe), pa.int64())
    return rows.append_column("empty_before", empty).select(CANDLES.names + QUALITY.names)


def _empty_before(rows: pa.Table, timeframe: Timeframe) -> list[int | None]:
    opened = rows["open_time"].cast(pa.int64()).to_pylist()
    ends = [time + 1 for time in rows["close_time"].cast(pa.int64()).to_pylist()]
    counts = [
        0 if end == start else sum(1 for _ in timeframe.opens(end, start))
        for end, start in zip(ends, opened[1:], strict=False)
    ]
    return [None, *counts] if opened else []


def with_decimals(rows: pa.Table, form: str) -> pa.Table:
    """The rows with their decimals in a form. Raises ConfigError for an unknown one."""
    if form not in get_args(Decimals):
        raise ConfigError(f"decimals={form!r} must be one of {', '.join(get_args(Decimals))}")
    if form == "exact":
        return rows
    convert = floats if form == "float" else texts
    for number, field in enumerate(rows.schema):
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(number, field.name, _chunked(rows[field.name], convert))
    return rows


def _chunked(column: pa.ChunkedArray, convert: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    return pa.chunked_array([convert(chunk) for chunk in column.chunks] or [convert(column.combine_chunks())])


def floats(decimals: pa.Array) -> pa.Array:
    """The nearest float64 of each decimal. Arrow's own cast is off by a bit at times, its parser is not."""
    return decimals.cast(pa.string()).cast(pa.float64())


def texts(decimals: pa.Array) -> pa.Array:
    """Each decimal without an exponent or trailing zeros."""
    return pa.array([None if value is None else plain(value) for value in decimals.to_pylist()], pa.string())
