"""How far a table is, partition by partition (pure): what was read, is buffered, in flight, durable.

assign ─► put ─► [buffer] ─► take ─► [in flight] ─► done ─► acknowledge

A batch in flight is a fixed set of offset ranges: however often it is written, it is the same rows under the
same token, until it is done. Nothing is acknowledged before that. A crash forgets all of it, and so does a
rebalance (the consumer reads again from what was acknowledged): the next stay begins at what the destination
holds (`Position`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from k2stream.model.errors import Inconsistent

Rows = TypeVar("Rows")
Receipt = TypeVar("Receipt")


class SourcePartition(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}"


@dataclass(frozen=True, slots=True)
class SinkPosition:
    """How far a partition got in a table: its last offset, -1 before the first.

    `marks` is what a table must know to drop replays, e.g. the highest raw offset of each exchange. `epoch`
    names the incarnation of the table's rows that the offset counts, `source` the topic, in its reader's own
    words; both are empty where an earlier release wrote them.
    """

    offset: int = -1
    marks: Mapping[str, int] = field(default_factory=dict)
    epoch: str = ""
    source: str = ""


class OffsetGap(Inconsistent, ValueError):
    """Offsets that were neither read nor are durable."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece(Generic[Rows, Receipt]):
    """What one delivery brought: rows (maybe none) of offsets first to last, and what acknowledges it.

    The epoch is that of the position before it, `source` says what the offsets up to the last one are of.
    """

    partition: SourcePartition
    first: int
    last: int
    marks: Mapping[str, int]
    rows: Rows
    size: int
    receipt: Receipt
    epoch: str = ""
    source: str = ""

    @property
    def position(self) -> SinkPosition:
        """Where the partition is once the piece is durable."""
        return SinkPosition(self.last, self.marks, self.epoch, self.source)


@dataclass(frozen=True, slots=True, eq=False)
class SinkBatch(Generic[Rows, Receipt]):
    """Pieces that become durable together."""

    pieces: tuple[Piece[Rows, Receipt], ...]

    @property
    def positions(self) -> dict[SourcePartition, SinkPosition]:
        """Where each partition is once the batch is durable."""
        return {piece.partition: piece.position for piece in self.pieces}

    @property
    def token(self) -> str:
        """Names the batch by its ranges: `topic:partition:first-last@epoch`, comma separated.

        Rows that a table lost come again in the same ranges: only the epoch tells them from a retry.
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
        """Rows in it."""
        return sum(piece.size for piece in self.pieces)

    @property
    def receipts(self) -> list[Receipt]:
        """What to acknowledge once it is durable, in order."""
        return [piece.receipt for piece in self.pieces]


class SinkProgress(Generic[Rows, Receipt]):
    """The state of one table in one worker."""

    def __init__(self) -> None:
        self._read: dict[SourcePartition, SinkPosition] = {}
        self._buffer: list[Piece[Rows, Receipt]] = []
        self._in_flight: SinkBatch[Rows, Receipt] | None = None

    @property
    def buffered(self) -> int:
        """Rows waiting for a batch."""
        return sum(piece.size for piece in self._buffer)

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a batch."""
        return bool(self._buffer)

    def assign(self, partition: SourcePartition, durable: SinkPosition) -> None:
        """A partition came to this worker; the destination holds it up to `durable`."""
        self._read[partition] = durable

    def read(self, partition: SourcePartition) -> SinkPosition | None:
        """How far a partition was read, buffered or durable; None when it is not assigned."""
        return self._read.get(partition)

    def put(
        self,
        partition: SourcePartition,
        first: int,
        last: int,
        marks: Mapping[str, int],
        rows: Rows,
        size: int,
        receipt: Receipt,
        source: str = "",
    ) -> None:
        """Add what a delivery of offsets first to last brought beyond what was read before.

        `source` says what the offsets are of; that of the position before it where it is empty.
        A delivery that brings nothing new has no rows and is acknowledged in its turn. Raises KeyError for a
        partition that is not assigned, Hole when offsets are missing before it.
        """
        read = self._read[partition]
        if first > read.offset + 1:
            raise OffsetGap(f"{partition}: offset {first} comes after {read.offset}")
        source = source if source and last > read.offset else read.source
        position = replace(read, offset=max(last, read.offset), marks=marks, source=source)
        self._read[partition] = position
        first, last = read.offset + 1, position.offset
        self._buffer.append(Piece(partition, first, last, marks, rows, size, receipt, read.epoch, source))

    def compact(self, merge: Callable[[list[Rows]], tuple[Rows, int]], nothing: Rows) -> None:
        """Replace the buffered rows of each partition by fewer ones that say as much.

        `merge` returns the rows and how many; the partition's last piece carries them, the others `nothing`.
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
        """The batch to write: the one in flight, else all that is buffered; None when there is nothing."""
        if self._in_flight is None and self._buffer:
            self._in_flight = SinkBatch(tuple(self._buffer))
            self._buffer = []
        return self._in_flight

    def holds(self, batch: SinkBatch[Rows, Receipt]) -> bool:
        """Whether the batch is still to be written: it is not after a reset."""
        return batch is self._in_flight

    def done(self, batch: SinkBatch[Rows, Receipt]) -> list[Receipt]:
        """The batch is durable: what to acknowledge; nothing when a reset came between."""
        if not self.holds(batch):
            return []
        self._in_flight = None
        return batch.receipts

    def reset(self) -> None:
        """Forget everything: partitions are assigned, and read, again."""
        self._read.clear()
        self._buffer.clear()
        self._in_flight = None
