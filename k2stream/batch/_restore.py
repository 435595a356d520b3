"""Restores a table from its changelog without a worker, completely or as of a given time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2stream.batch._changes import RESERVED
from k2stream.batch._records import RecordBatch
from k2stream.batch._table import BatchTable
from k2stream.model import clock

_MOST_NAMES = 10


@dataclass(slots=True)
class Reach:
    """What one changelog partition still shows of its state at a time (`until`, ms since 1970).

    Call `take` with every batch, in order. Compaction leaves one entry per key, and holes in the offsets, in
    a prefix of the log. If a key has entries up to the time, the last of them is therefore its value at the
    time. For a key in `doubtful` that value may have been removed: its first entry is later than the time and
    may lie in the compacted prefix, and entries up to the time are missing.
    """

    until: int
    earliest: int | None = None
    """Time of the first remaining entry, ms since 1970."""

    removed: int = 0
    """Upper limit of removed entries up to the time; some in the last hole may be younger."""

    _later: dict[bytes, None] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)
    _compacted: bool = True
    _next: int = 0
    _early: bool = True

    def take(self, batch: RecordBatch) -> NDArray[np.bool_]:
        """Add the next batch; returns which of its entries are not later than the time."""
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
        """Return keys whose value at the time may have been removed by compaction."""
        return list(self._later) if self.removed else []


def restore(table: BatchTable, batch: RecordBatch, reach: Reach | None) -> int:
    """Apply a batch as recovery does, or only its entries up to the time of `reach`; returns their number."""
    keys, values = batch.keys, batch.values
    if reach is not None and not (wanted := reach.take(batch)).all():
        rows = np.flatnonzero(wanted).tolist()
        keys, values = [keys[row] for row in rows], [values[row] for row in rows]
    if keys:
        table.apply_changelog(batch.tp.partition, keys, values, batch.last_offset)
    return len(keys)


def uncertainties(reach: Collection[Reach], name_of: Callable[[bytes], str | None]) -> list[str]:
    """Notes on how complete a table restored as of one time is, `reach` of its partitions; empty if it is.

    `name_of` gives the name of a changelog key, or None for one that is of no interest.
    """
    earliest = min((part.earliest for part in reach if part.earliest is not None), default=None)
    if earliest is None:
        return ["the changelog is empty"]
    until = min(part.until for part in reach)
    then, removed, notes = clock.format_utc(until), sum(part.removed for part in reach), []
    if until < earliest:
        why = "compaction has removed what was there" if removed else "the table was empty"
        notes.append(
            f"the changelog's earliest entry is of {clock.format_utc(earliest)}, after {then}: {why}"
        )
    named = {name_of(key) for part in reach for key in part.doubtful}
    doubtful = sorted(name for name in named if name is not None)
    if doubtful:
        listed = ", ".join(doubtful[:_MOST_NAMES]) + (", …" if len(doubtful) > _MOST_NAMES else "")
        notes.append(f"changed after {then}, and compaction may have removed what they held then: {listed}")
    elif removed:
        notes.append("compaction has removed entries: the rows are right, a key deleted since may be missing")
    return notes
