"""Which offset of a partition may be committed."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from k2stream.batch.proof import Proof


class Acknowledged(Protocol):
    """A delivered message; Faust sets ``acked`` when the last stream is done with it."""

    acked: bool


class Delivery(NamedTuple):
    message: Acknowledged
    last_offset: int
    records: int
    proof: Proof | None = None


class _Done:
    """Stands for a delivery that nobody was given."""

    acked: bool = True


class AckLedger:
    """Deliveries of one partition in offset order; everything acknowledged from the front is committable.

    Acknowledgements may come in any order; a later one waits for the earlier ones. The flag is read from the
    message because Faust's compiled stream sets it without calling the consumer.
    """

    def __init__(self) -> None:
        self._open: deque[Delivery] = deque()
        self._position: int | None = None
        self._proofs: deque[tuple[int, Proof]] = deque()
        self._past: Proof | None = None
        self.newest: Proof | None = None  # of what was delivered
        self.breaks = 0

    def deliver(
        self, message: Acknowledged, last_offset: int, records: int, proof: Proof | None = None
    ) -> None:
        """Add the next range; ``last_offset`` is its last offset, inclusive, ``proof`` its last record's."""
        self._open.append(Delivery(message, last_offset, records, proof))
        self.newest = proof or self.newest

    def skip(self, last_offset: int) -> None:
        """Go past a range that holds no records, once what is before it is acknowledged."""
        self._open.append(Delivery(_Done(), last_offset, 0))

    def position(self) -> int | None:
        """Offset after everything acknowledged from the front; None before the first acknowledgement."""
        while self._open and self._open[0].message.acked:
            done = self._open.popleft()
            self._position = done.last_offset + 1
            if done.proof is not None:
                self._proofs.append((self._position, done.proof))
        return self._position

    def proof_at(self, position: int) -> Proof | None:
        """The proof of the last record before a position, None without one; earlier ones are forgotten."""
        self.position()
        while self._proofs and self._proofs[0][0] <= position:
            self._past = self._proofs.popleft()[1]
        return self._past

    def unacked(self) -> int:
        """Records delivered and not acknowledged."""
        self.position()
        return sum(delivery.records for delivery in self._open if not delivery.message.acked)

    def void(self) -> None:
        """Forget open deliveries: a late acknowledgement of theirs no longer counts."""
        self.position()
        for delivery in self._open:
            delivery.message.acked = True
        self._open.clear()
