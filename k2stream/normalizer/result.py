"""What normalising a batch gives."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.deadletter import DeadLetter
from k2stream.model.events import EventKind, FeedEvent
from k2stream.normalizer import continuity


class SymbolPosition(msgspec.Struct, frozen=True):
    """How far a symbol was normalised: the offset of its last raw record, and its continuity after it."""

    raw_offset: int = -1
    state: continuity.ContinuityState = msgspec.field(default_factory=continuity.ContinuityState)


@dataclass(frozen=True, slots=True)
class Normalised:
    """What a batch gave; `keys`, `values` and `receive_time` (µs) are canonical records.

    `positions` are those of the batch's symbols; `newest` has the trade time, receive time (µs) and price of
    each symbol's last accepted trade that came over the socket.
    """

    keys: list[bytes]
    values: list[bytes]
    receive_time: NDArray[np.int64]
    dead_letters: list[DeadLetter]
    events: list[FeedEvent]
    positions: dict[str, SymbolPosition]
    newest: dict[str, tuple[int, int, str]]
    replayed: int

    def counted(self, kind: EventKind) -> int:
        """How many trades the events of a kind stand for."""
        return sum(event.count for event in self.events if event.kind is kind)
