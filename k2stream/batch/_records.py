"""The unit of delivery: the records of one fetch of one partition, by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from faust.types import TP as TP

    from k2stream.batch._aiokafka import ConsumerRecord
else:

    class TP(NamedTuple):
        """A topic partition; equal to Faust's and aiokafka's, which are tuples too."""

        topic: str
        partition: int


_offset, _timestamp, _key, _value = map(attrgetter, ("offset", "timestamp", "key", "value"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecordBatch:
    """Records of one partition in offset order, and the offset range that was read.

    Columns have one entry per record: ``offsets`` and ``timestamps`` (ms since 1970) are int64 arrays,
    ``keys`` and ``values`` are bytes or None. Offsets ascend but need not be contiguous, because of
    compaction and transaction markers; no other records exist from ``first_offset`` to ``last_offset``. A
    batch may have no records if the schema asks for such batches.
    """

    tp: TP
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]
    begin: int | None = None
    """The first offset that was read; None for that of the first record."""

    end: int | None = None
    """The offset after the last one that was read; None for that after the last record."""

    breaks: int = 0
    """How many fetches of the partition had failed before; the log may have changed after each."""

    @classmethod
    def from_records(
        cls,
        tp: TP,
        records: Sequence[ConsumerRecord],
        begin: int | None = None,
        end: int | None = None,
        breaks: int = 0,
    ) -> RecordBatch:
        """Create a batch from aiokafka records (anything with offset, timestamp, key and value)."""
        count = len(records)
        first, last = (records[0].offset, records[-1].offset) if count else (0, -1)
        return cls(
            tp=tp,
            offsets=np.arange(first, last + 1, dtype=np.int64)
            if last - first == count - 1
            else np.fromiter(map(_offset, records), np.int64, count),
            timestamps=np.fromiter(map(_timestamp, records), np.int64, count),
            keys=list(map(_key, records)),
            values=list(map(_value, records)),
            begin=begin,
            end=end,
            breaks=breaks,
        )

    def take(self, rows: Sequence[int]) -> RecordBatch:
        """Return a batch of the records at ascending `rows`, which covers the same offset range."""
        index = np.array(rows, np.int64)
        return RecordBatch(
            tp=self.tp,
            offsets=self.offsets[index],
            timestamps=self.timestamps[index],
            keys=[self.keys[row] for row in rows],
            values=[self.values[row] for row in rows],
            begin=self.first_offset,
            end=self.last_offset + 1,
            breaks=self.breaks,
        )

    @property
    def first_offset(self) -> int:
        """Return the first offset that was read."""
        return int(self.offsets[0]) if self.begin is None else self.begin

    @property
    def last_offset(self) -> int:
        """Return the last offset that was read."""
        return (int(self.offsets[-1]) + 1 if self.end is None else self.end) - 1

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<RecordBatch {self.tp.topic}[{self.tp.partition}] {self.first_offset}..{self.last_offset}>"
