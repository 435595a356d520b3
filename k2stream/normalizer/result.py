"""The result of normalizing a batch."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.deadletter import DeadLetter
from k2stream.model.events import EventKind, FeedEvent
from k2stream.normalizer import continuity


class SymbolPosition(msgspec.Struct, frozen=True):
    """How far a symbol is normalized: the offset of its last raw record, and the continuity state there."""

    raw_offset: int = -1
    state: continuity.ContinuityState = msgspec.field(default_factory=continuity.ContinuityState)


@dataclass(frozen=True, slots=True)
class Normalized:
    """The result of a batch; `keys` to `raw_offset` are columns of canonical records, `receive_time` in µs.

    `receive_lag` is receive time minus trade time (µs) of those that were not backfilled. `positions` are the
    new positions of the batch's symbols. `newest` has trade time (µs), receive time (µs) and price of each
    symbol's last accepted trade that was not backfilled. `replayed` counts skipped records.
    """

    keys: list[bytes]
    values: list[bytes]
    receive_time: NDArray[np.int64]
    raw_offset: NDArray[np.int64]
    receive_lag: NDArray[np.int64]
    dead_letters: list[DeadLetter]
    events: list[FeedEvent]
    positions: dict[str, SymbolPosition]
    newest: dict[str, tuple[int, int, str]]
    replayed: int

    def counted(self, kind: EventKind) -> int:
        """Sum of the counts of all events of a kind."""
        return sum(event.count for event in self.events if event.kind is kind)
