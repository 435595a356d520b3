"""Progress of a table per partition (pure): what was read, is buffered, is in flight, is durable.

assign ─► put ─► [buffer] ─► take ─► [in flight] ─► done ─► acknowledge

A batch in flight is a fixed set of offset ranges: every retry writes the same rows with the same token, until
it is done. Nothing is acknowledged before that. A crash or a rebalance drops this state, and the consumer
reads again from the acknowledged offsets; the next assignment starts at the destination's `SinkPosition`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from k2stream.model.errors import Inconsistent

Rows = TypeVar("Rows")
Receipt = TypeVar("Receipt")


class SourcePartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}"


@dataclass(frozen=True, slots=True)
class SinkPosition:
    """A position of a partition in a table: its last offset, -1 before the first.

    `high_water_marks` is what a table needs to drop replays, e.g. the highest raw offset of each exchange.
    `epoch` names the incarnation of the table's rows that the offset counts. `source` is the reader's proof
    of which log the offset belongs to. Both are empty in positions that earlier releases wrote.
    """

    offset: int = -1
    high_water_marks: Mapping[str, int] = field(default_factory=dict)
    epoch: str = ""
    source: str = ""


class OffsetGap(Inconsistent, ValueError):
    """Offsets are missing: they were not read, and are not durable."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece(Generic[Rows, Receipt]):
    """The rows (maybe none) of one delivery of offsets `first` to `last`, and its acknowledgement.

    `epoch` is that of the position before it; `source` identifies the log of the offsets up to `last`.
    """

    partition: SourcePartition
    first: int
    last: int
    high_water_marks: Mapping[str, int]
    rows: Rows
    size: int
    receipt: Receipt
    epoch: str = ""
    source: str = ""

    @property
    def position(self) -> SinkPosition:
        """The partition's position once the piece is durable."""
        return SinkPosition(self.last, self.high_water_marks, self.epoch, self.source)


@dataclass(frozen=True, slots=True, eq=False)
class SinkBatch(Generic[Rows, Receipt]):
    """Pieces that become durable together."""

    pieces: tuple[Piece[Rows, Receipt], ...]

    @property
    def positions(self) -> dict[SourcePartition, SinkPosition]:
        """The position of each partition once the batch is durable."""
        return {piece.partition: piece.position for piece in self.pieces}

    @property
    def token(self) -> str:
        """Identifies the batch by its ranges: `topic:partition:first-last@epoch`, comma separated.

        Rows that a table lost are written again in the same ranges: only the epoch distinguishes them from a
        retry.
        """
        first: dict[SourcePartition, int] = {}
        for piece in self.pieces:
            first.setdefault(piece.partition, piece.first)
        return ",".join(
            f"{partition}:{first[partition]}-{position.offset}{'@' if position.epoch else ''}{position.epoch}"
            for partition, position in sorted(self.positions.items())
        )

    @property
    def size(self) -> int:
        """Number of rows."""
        return sum(piece.size for piece in self.pieces)

    @property
    def receipts(self) -> list[Receipt]:
        """Acknowledgements to make once the batch is durable, in order."""
        return [piece.receipt for piece in self.pieces]


class SinkProgress(Generic[Rows, Receipt]):
    """The progress of one table in one worker."""

    def __init__(self) -> None:
        self._read: dict[SourcePartition, SinkPosition] = {}
        self._buffer: list[Piece[Rows, Receipt]] = []
        self._in_flight: SinkBatch[Rows, Receipt] | None = None

    @property
    def buffered(self) -> int:
        """Number of rows that wait for a batch."""
        return sum(piece.size for piece in self._buffer)

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a batch."""
        return bool(self._buffer)

    def assign(self, partition: SourcePartition, durable: SinkPosition) -> None:
        """Start a partition that was assigned to this worker; the destination has it up to `durable`."""
        self._read[partition] = durable

    def read(self, partition: SourcePartition) -> SinkPosition | None:
        """How far a partition was read, whether buffered or durable; None when it is not assigned."""
        return self._read.get(partition)

    def put(
        self,
        partition: SourcePartition,
        first: int,
        last: int,
        high_water_marks: Mapping[str, int],
        rows: Rows,
        size: int,
        receipt: Receipt,
        source: str = "",
    ) -> None:
        """Add what a delivery of offsets `first` to `last` brings beyond the offsets read before.

        `source` identifies the log of the offsets; when it is empty, that of the position before is kept.

        A delivery without anything new has no rows and is acknowledged in its turn. Raises KeyError for a
        partition that is not assigned, OffsetGap when offsets before it are missing.
        """
        read = self._read[partition]
        if first > read.offset + 1:
            raise OffsetGap(f"{partition}: offset {first} comes after {read.offset}")
        source = source if source and last > read.offset else read.source
        position = replace(
            read, offset=max(last, read.offset), high_water_marks=high_water_marks, source=source
        )
        self._read[partition] = position
        first, last = read.offset + 1, position.offset
        self._buffer.append(
            Piece(partition, first, last, high_water_marks, rows, size, receipt, read.epoch, source)
        )

    def compact(self, merge: Callable[[list[Rows]], tuple[Rows, int]], nothing: Rows) -> None:
        """Replace the buffered rows of each partition by fewer equivalent rows.

        `merge` returns the rows and their number. The partition's last piece gets them, the others get
        `nothing`.
        """
        by_partition: dict[SourcePartition, list[int]] = {}
        for index, piece in enumerate(self._buffer):
            by_partition.setdefault(piece.partition, []).append(index)
        for indexes in by_partition.values():
            rows, size = merge([self._buffer[index].rows for index in indexes])
            for index in indexes[:-1]:
                self._buffer[index] = replace(self._buffer[index], rows=nothing, size=0)
            self._buffer[indexes[-1]] = replace(self._buffer[indexes[-1]], rows=rows, size=size)

    def take(self) -> SinkBatch[Rows, Receipt] | None:
        """The batch to write: the one in flight, else all buffered pieces; None when there are none."""
        if self._in_flight is None and self._buffer:
            self._in_flight = SinkBatch(tuple(self._buffer))
            self._buffer = []
        return self._in_flight

    def holds(self, batch: SinkBatch[Rows, Receipt]) -> bool:
        """Whether the batch must still be written; not so after a reset."""
        return batch is self._in_flight

    def done(self, batch: SinkBatch[Rows, Receipt]) -> list[Receipt]:
        """Mark the batch as durable; returns what to acknowledge, nothing when it was reset meanwhile."""
        if not self.holds(batch):
            return []
        self._in_flight = None
        return batch.receipts

    def reset(self) -> None:
        """Forget everything: partitions will be assigned and read again."""
        self._read.clear()
        self._buffer.clear()
        self._in_flight = None
