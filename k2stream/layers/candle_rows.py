"""Candles as Arrow rows."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from k2stream.layers.schema import GOLD
from k2stream.model.candle import Candle


def candle_rows(candles: Sequence[Candle]) -> pa.Table:
    """Candles as rows with gold's columns."""
    return pa.table(
        [_column([getattr(candle, field.name) for candle in candles], field.type) for field in GOLD], GOLD
    )


def _column(values: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)
