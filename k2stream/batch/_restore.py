"""A table's contents from its changelog, without a worker: all of it, or as it stood at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2stream.batch._records import RecordBatch
from k2stream.batch._table import RESERVED, BatchTable


@dataclass(slots=True)
class Reach:
    """What one changelog partition can still tell of a time (ms): give it every batch, from the first.

    Compaction rewrites a prefix of the log in which no key comes twice, and leaves holes in the offsets. An
    entry up to the time that is still there is therefore what its key held; what compaction took is what
    the keys in `doubtful` held: their first entry is later, in what may be that prefix, and entries of up to
    the time are missing before it.
    """

    until: int
    earliest: int | None = None
    """Time of the first entry that is still there."""

    removed: int = 0
    """Entries of up to the time that compaction removed, at most: some in the last hole may be younger."""

    _later: dict[bytes, None] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)
    _compacted: bool = True
    _next: int = 0
    _early: bool = True

    def take(self, batch: RecordBatch) -> NDArray[np.bool_]:
        """Which entries of the next batch are of up to the time."""
        wanted = batch.timestamps <= self.until
        if self.earliest is None:
            self.earliest = int(batch.timestamps[0])
        holes = np.diff(batch.offsets, prepend=self._next - 1) - 1
        self.removed += int(holes[np.concatenate(([self._early], wanted[:-1]))].sum())
        self._next, self._early = batch.last_offset + 1, bool(wanted[-1])
        if self._compacted:
            self._note(batch.keys, wanted.tolist())
        return wanted

    def _note(self, keys: Iterable[bytes | None], wanted: Iterable[bool]) -> None:
        for key, early in zip(keys, wanted, strict=True):
            if key in self._seen:
                self._compacted = False
                return
            if key is not None and not key.startswith(RESERVED):
                self._seen.add(key)
                if not early:
                    self._later[key] = None

    @property
    def doubtful(self) -> list[bytes]:
        """Keys of which compaction may have removed what they held at the time."""
        return list(self._later) if self.removed else []


def restore(table: BatchTable, batch: RecordBatch, reach: Reach | None) -> int:
    """Apply a batch as recovery does, or of it what is of up to a time; how many entries."""
    keys, values = batch.keys, batch.values
    if reach is not None and not (wanted := reach.take(batch)).all():
        rows = np.flatnonzero(wanted).tolist()
        keys, values = [keys[row] for row in rows], [values[row] for row in rows]
    if keys:
        table.apply_changelog(batch.tp.partition, keys, values, batch.last_offset)
    return len(keys)
