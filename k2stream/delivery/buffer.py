"""The buffer of one table: deliveries as received, converted to rows, taken as a batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from k2stream import faults
from k2stream.batch import RecordBatch, proof
from k2stream.batch.proof import last_of
from k2stream.deadletter import DeadLetter
from k2stream.delivery.progress import OffsetGap, SinkBatch, SinkPosition, SinkProgress, SourcePartition
from k2stream.delivery.route import Route, beyond, joined, keep_all, nothing

CHUNK_RECORDS = 2000  # deliveries are converted at this many records: rows take less memory

Acknowledge = Callable[[], Awaitable[Any]]
Rows = SinkBatch[pa.Table, Acknowledge]


class BufferedDelivery(NamedTuple):
    """A received batch, its acknowledgement, and its size in bytes."""

    batch: RecordBatch
    acknowledge: Acknowledge
    size: int


class Table:
    """The progress of one route; when its buffer was started, and its size in bytes.

    Conversion to columns costs the same for one record as for hundreds. Deliveries are therefore buffered
    until there are many or a batch is taken, and are then converted together.
    """

    def __init__(self, route: Route, merge_bytes: int) -> None:
        """Buffered rows are merged at `merge_bytes`, and again each time they have doubled."""
        self.route = route
        self.progress: SinkProgress[pa.Table, Acknowledge] = SinkProgress()
        self.since = 0.0
        self._merge_bytes = self._merge_at = merge_bytes
        self._row_bytes = 0
        self._arrived: dict[SourcePartition, int] = {}
        self._deliveries: dict[SourcePartition, list[BufferedDelivery]] = {}
        self._delivered, self._delivered_bytes = 0, 0
        self._letters: list[DeadLetter] = []
        self._converting = asyncio.Lock()
        self._assignment_epoch = object()

    @property
    def records(self) -> int:
        """Number of buffered rows and of records not converted to rows yet."""
        return self.progress.buffered + self._delivered

    @property
    def bytes(self) -> int:
        """Approximate memory of the buffer, in bytes."""
        return self._row_bytes + self._delivered_bytes

    def assign(self, partition: SourcePartition, durable: SinkPosition) -> None:
        """Start a partition that was assigned to this worker; the destination has it up to `durable`."""
        self.progress.assign(partition, durable)
        self._arrived[partition] = durable.offset

    def arrived(self, partition: SourcePartition) -> int | None:
        """The last offset that was received or is durable; None when the partition is not assigned."""
        return self._arrived.get(partition)

    def reset(self) -> None:
        """Forget everything."""
        self.progress.reset()
        self._arrived.clear()
        self._deliveries.clear()
        self._letters.clear()
        self._delivered, self._delivered_bytes = 0, 0
        self._assignment_epoch = object()
        self._empty()

    async def put(self, partition: SourcePartition, batch: RecordBatch, acknowledge: Acknowledge) -> None:
        """Add a delivery of an assigned partition. Raises OffsetGap when offsets before it are missing."""
        arrived = self._arrived[partition]
        if batch.first_offset > arrived + 1:
            raise OffsetGap(f"{partition}: offset {batch.first_offset} comes after {arrived}")
        if batch.first_offset <= arrived:
            stay = self._assignment_epoch
            await self.convert()  # only consecutive deliveries are converted together
            if self._assignment_epoch is not stay:
                return
        self._arrived[partition] = max(arrived, batch.last_offset)
        size = sum(len(value) for value in batch.values if value is not None)
        self._deliveries.setdefault(partition, []).append(BufferedDelivery(batch, acknowledge, size))
        self._delivered += len(batch)
        self._delivered_bytes += size
        self.since = self.since or time.monotonic()
        if self._delivered >= CHUNK_RECORDS:
            await self.convert()

    async def convert(self) -> None:
        """Convert deliveries to rows; those that a rebalance revokes meanwhile are dropped."""
        async with self._converting:
            stay = self._assignment_epoch
            for partition in list(self._deliveries):
                deliveries = list(self._deliveries[partition])
                read = self.progress.read(partition)
                assert read is not None
                batch = together([delivery.batch for delivery in deliveries])
                rows, high_water_marks, letters = await asyncio.to_thread(_rows, self.route, batch, read)
                if self._assignment_epoch is not stay:
                    return
                self._letters += letters
                first, last, source = batch.first_offset, batch.last_offset, _source(batch)
                self.progress.put(
                    partition, first, last, high_water_marks, rows, len(rows), _all(deliveries), source
                )
                self._let_go(partition, deliveries)
                self._added(rows)

    def _let_go(self, partition: SourcePartition, deliveries: Sequence[BufferedDelivery]) -> None:
        """Free the records; only rows stay in memory, as the event object lives until it is acknowledged."""
        for batch, _, size in deliveries:
            self._delivered -= len(batch)
            self._delivered_bytes -= size
            batch.values.clear()
            batch.keys.clear()
        del self._deliveries[partition][: len(deliveries)]
        if not self._deliveries[partition]:
            del self._deliveries[partition]

    def _added(self, rows: pa.Table) -> None:
        """Count the bytes of new rows, and merge the buffer when it is large."""
        self._row_bytes += rows.nbytes
        if self.route.merge is not keep_all and self._row_bytes >= self._merge_at:
            self._row_bytes = 0
            self.progress.compact(self._merged, nothing(self.route))
            self._merge_at = max(self._merge_bytes, 2 * self._row_bytes)

    def _merged(self, pieces: list[pa.Table]) -> tuple[pa.Table, int]:
        rows = self.route.merge(joined(pieces))
        self._row_bytes += rows.nbytes
        return rows, len(rows)

    def take_letters(self) -> list[DeadLetter]:
        """Take the dead letters of converted records that could not be read."""
        letters, self._letters = self._letters, []
        return letters

    def take(self) -> Rows | None:
        """The batch to write, from converted deliveries; None when there is nothing."""
        batch = self.progress.take()
        if not self.progress.waiting:
            self._empty()
        return batch

    def _empty(self) -> None:
        self.since = time.monotonic() if self._deliveries else 0.0
        self._row_bytes, self._merge_at = 0, self._merge_bytes


def together(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Consecutive deliveries of a partition, joined into one."""
    if len(batches) == 1:
        return batches[0]
    return RecordBatch(
        batches[0].tp,
        np.concatenate([batch.offsets for batch in batches]),
        np.concatenate([batch.timestamps for batch in batches]),
        [key for batch in batches for key in batch.keys],
        [value for batch in batches for value in batch.values],
        batches[0].first_offset,
        batches[-1].last_offset + 1,
    )


def _all(deliveries: Sequence[BufferedDelivery]) -> Acknowledge:
    async def acknowledge() -> None:
        for delivery in deliveries:
            await delivery.acknowledge()

    return acknowledge


def _source(batch: RecordBatch) -> str:
    """The proof of the batch's last record, which identifies the log that its offsets belong to."""
    last = last_of(batch)
    return "" if last is None else proof.write(proof.identity(last))


def _rows(
    route: Route, batch: RecordBatch, read: SinkPosition
) -> tuple[pa.Table, Mapping[str, int], list[DeadLetter]]:
    """New rows of a batch, the marks after them, and dead letters for records that make no row."""
    if not len(batch) or batch.last_offset <= read.offset:
        return nothing(route), read.high_water_marks, []
    _, rows, causes = faults.read(batch, partial(columns_of, route))
    letters = [
        route.letter(batch, row, cause) for row, cause in causes.items() if batch.offsets[row] > read.offset
    ]
    return *route.fresh(beyond(rows, read.offset), read.high_water_marks), letters


def columns_of(route: Route, batch: RecordBatch) -> pa.Table:
    """The rows of a delivery, which may have no records."""
    return route.columns(batch) if len(batch) else nothing(route)


def rows_of(route: Route, batch: Rows) -> pa.Table:
    """The merged rows of a batch, as they are to be written."""
    return route.merge(joined([piece.rows for piece in batch.pieces]))
