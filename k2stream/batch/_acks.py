"""Tracks which offset of a partition may be committed."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from k2stream.batch.proof import Proof


class Acknowledged(Protocol):
    """A delivered message; Faust sets ``acked`` when the last stream has finished with it."""

    acked: bool


class Delivery(NamedTuple):
    message: Acknowledged
    last_offset: int
    records: int
    proof: Proof | None = None


class _Done:
    """Stands for a range that was not delivered to any agent."""

    acked: bool = True


class AckLedger:
    """Deliveries of one partition in offset order; the acknowledged prefix may be committed.

    Acknowledgements may arrive in any order. The flag is read from the message because Faust's compiled
    stream sets it without calling the consumer.
    """

    def __init__(self) -> None:
        self._open: deque[Delivery] = deque()
        self._position: int | None = None
        self._proofs: deque[tuple[int, Proof]] = deque()
        self._past: Proof | None = None
        self.newest: Proof | None = None  # of all deliveries
        self.breaks = 0

    def deliver(
        self, message: Acknowledged, last_offset: int, records: int, proof: Proof | None = None
    ) -> None:
        """Add the next delivery; ``last_offset`` is inclusive, ``proof`` is that of its last record."""
        self._open.append(Delivery(message, last_offset, records, proof))
        self.newest = proof or self.newest

    def skip(self, last_offset: int) -> None:
        """Add a range without records, which counts as acknowledged."""
        self._open.append(Delivery(_Done(), last_offset, 0))

    def position(self) -> int | None:
        """Return the offset after the acknowledged prefix; None before the first acknowledgement."""
        while self._open and self._open[0].message.acked:
            done = self._open.popleft()
            self._position = done.last_offset + 1
            if done.proof is not None:
                self._proofs.append((self._position, done.proof))
        return self._position

    def proof_at(self, position: int) -> Proof | None:
        """Return the proof of the last record before a position, or None; earlier proofs are discarded."""
        self.position()
        while self._proofs and self._proofs[0][0] <= position:
            self._past = self._proofs.popleft()[1]
        return self._past

    def unacked(self) -> int:
        """Return the number of records that are delivered and not acknowledged."""
        self.position()
        return sum(delivery.records for delivery in self._open if not delivery.message.acked)

    def void(self) -> None:
        """Discard open deliveries, so that late acknowledgements of them have no effect."""
        self.position()
        for delivery in self._open:
            delivery.message.acked = True
        self._open.clear()
