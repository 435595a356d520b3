"""Merges the trades of both stores: each once, in the order in which candles take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa

from k2stream.clickhouse.trades import Checksum
from k2stream.model.instrument import Instrument

_DAY = timedelta(days=1)


class TradeStore(Protocol):
    """Where trades with start <= timestamp < end (ms) are read from, with silver's columns."""

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table:
        """The trades, in any order."""
        ...


class CheckedStore(TradeStore, Protocol):
    """One that also says, without reading the trades, which they are."""

    def checksum(self, instrument: Instrument, start: int, end: int) -> Checksum:
        """Of their raw offsets."""
        ...


def slices(days: Iterable[date], start: int, end: int | None) -> Iterator[tuple[int, int]]:
    """The part of each day (UTC) that is in [start, end), in ms."""
    for day in sorted(set(days)):
        first, last = (_ms(day + offset) for offset in (timedelta(), _DAY))
        first, last = max(first, start), last if end is None else min(last, end)
        if first < last:
            yield first, last


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def checksum(rows: pa.Table) -> Checksum:
    """The same that ClickHouse computes."""
    offsets = rows["raw_offset"].to_numpy()
    return Checksum(len(offsets), int(offsets.sum()), int(np.bitwise_xor.reduce(offsets)))


def day_of(
    hot: CheckedStore | None, cold: TradeStore, instrument: Instrument, start: int, end: int
) -> pa.Table:
    """The trades of both stores in [start, end), in order; ClickHouse's are fetched only if they differ."""
    rows = cold.rows(instrument, start, end)
    if hot is not None and hot.checksum(instrument, start, end) != checksum(rows):
        rows = _once(pa.concat_tables([rows, hot.rows(instrument, start, end)]))
    return in_order(rows)


def _once(rows: pa.Table) -> pa.Table:
    partition, offset = (rows[name].to_numpy() for name in ("raw_partition", "raw_offset"))
    order = np.lexsort((offset, partition))
    partition, offset = partition[order], offset[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (partition[1:] != partition[:-1]) | (offset[1:] != offset[:-1])
    return rows.take(order[first])


def in_order(rows: pa.Table) -> pa.Table:
    """Sorted as `candles.state.place` says: an id decides within a millisecond, without ids the time does."""
    time = rows["timestamp"].cast(pa.int64()).to_numpy()
    sequence, offset = rows["sequence"].to_numpy(), rows["raw_offset"].to_numpy()
    rough = np.where(sequence > 0, time - time % 1000, time)
    return rows.take(np.lexsort((offset, time, sequence, rough)))
