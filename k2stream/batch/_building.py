"""Builds aiokafka record batches from columns."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.model.errors import BadData

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import BatchBuilder

Timestamps = int | Sequence[int] | NDArray[np.int64]
Headers = Sequence[tuple[str, bytes]]

RECORD_OVERHEAD = 40
"""The most bytes that a record takes besides key and value: varints of lengths, time and offset."""


class RecordTooLarge(BadData, ValueError):
    """A single record does not fit in the largest batch."""


class Built(NamedTuple):
    builder: BatchBuilder
    records: int


def build(
    create: Callable[[], BatchBuilder],
    limit: int,
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Timestamps,
    headers: Headers | None = None,
) -> list[Built]:
    """Build batches, in order, of at most ``limit`` bytes each before compression.

    ``create`` returns an aiokafka BatchBuilder for ``limit`` bytes. ``timestamps`` are in ms since 1970.
    Raises RecordTooLarge for a record that does not fit in a batch by itself, ValueError when the columns
    differ in length.
    """
    times = _column(timestamps, len(values))
    if not len(keys) == len(values) == len(times):
        raise ValueError(
            f"{len(keys)} keys, {len(values)} values and {len(times)} timestamps: lengths differ"
        )
    extra = list(headers or ())
    built: list[Built] = []
    builder, count = create(), 0
    append = builder._builder.append  # BatchBuilder.append costs three times as much
    for key, value, timestamp in zip(keys, values, times, strict=True):
        if append(count, timestamp, key, value, extra) is None:
            built.append(_finished(builder, count, limit))
            builder, count = create(), 0
            append = builder._builder.append
            append(count, timestamp, key, value, extra)
        count += 1
    if count:
        built.append(_finished(builder, count, limit))
    return built


def extend(
    builder: BatchBuilder,
    limit: int,
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Timestamps,
) -> bool:
    """Add all records to an open batch and return True, or add none if they might exceed ``limit`` bytes."""
    times = _column(timestamps, len(values))
    if builder.closed() or not len(keys) == len(values) == len(times):
        return False
    size = sum(len(key or b"") + len(value or b"") for key, value in zip(keys, values, strict=True))
    if builder.size() + size + RECORD_OVERHEAD * len(values) > limit:
        return False
    append, count = builder._builder.append, builder._relative_offset
    for offset, (key, value, timestamp) in enumerate(zip(keys, values, times, strict=True), count):
        append(offset, timestamp, key, value, [])
    builder._relative_offset = count + len(values)
    return True


def _finished(builder: BatchBuilder, count: int, limit: int) -> Built:
    # A builder refuses records that do not fit, except for its first record.
    if builder.size() > limit:
        raise RecordTooLarge(f"one record makes a batch of {builder.size()} bytes, the limit is {limit}")
    builder._relative_offset = count
    return Built(builder, count)


def _column(timestamps: Timestamps, count: int) -> Sequence[int]:
    if isinstance(timestamps, int | np.integer):
        return [int(timestamps)] * count
    return timestamps.tolist() if isinstance(timestamps, np.ndarray) else timestamps
