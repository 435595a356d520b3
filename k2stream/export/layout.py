"""What a layout is: its formats, the name of its file, and its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument


class Subject(NamedTuple):
    """What is exported: candles of a timeframe, or trades without one."""

    instrument: Instrument
    timeframe: Timeframe | None


@dataclass(frozen=True, slots=True)
class FileLayout:
    """How a reader expects its files.

    `candles` and `trades` convert rows (columns of `read.columns.PAGE`, or of silver) for a format.
    `decimals` is "exact", or "float" for a reader that knows only floats, unless the format is one of text.
    """

    name: str
    formats: tuple[str, ...]
    decimals: str
    file_name: Callable[[Subject], str]
    """Without the format, which is its ending."""

    candles: Callable[[pa.Table, str], pa.Table]
    trades: Callable[[pa.Table, str], pa.Table]
    is_named: bool = False
    """Whether the reader finds a file only under this name."""


TEXT = ("csv", "json")
"""Formats of text, in which decimals keep their digits."""


def plain_words(rows: pa.Table) -> pa.Table:
    """The rows with plain strings: a file has one dictionary per column at most, and pages have their own."""
    kinds = [
        field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in rows.schema
    ]
    return rows.cast(
        pa.schema([field.with_type(kind) for field, kind in zip(rows.schema, kinds, strict=True)])
    )
