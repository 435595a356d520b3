"""A consumer that says what it has still to do."""

from __future__ import annotations

import time
from abc import abstractmethod

from k2stream.batch import _agents as agents
from k2stream.batch._guarded import Guarded
from k2stream.batch._records import TP
from k2stream.batch._stall import Work

# A high-water mark asked for longer ago is none: this worker may have stood still, and been replaced.
HIGHWATER_SECONDS = 2.0


class Measured(Guarded):
    """Work left, by the broker's word."""

    @abstractmethod
    def _is_batch(self, tp: TP) -> bool:
        """Whether a partition is delivered in batches."""

    @abstractmethod
    def _full_topics(self) -> set[str]:
        """Topics at their bound."""

    def remaining(self, tp: TP) -> int | None:
        """Records up to the high-water mark of now that are not acknowledged; None while it is not known."""
        if tp not in self.assignment() or (end := self.highwater(tp)) is None:
            return None
        if time.monotonic() - self._thread.asked(tp) > HIGHWATER_SECONDS:
            return None
        ledger = self._ledgers.get(tp)
        position = None if ledger is None else ledger.position()
        return int(end - (self._committed_offset.get(tp) or 0 if position is None else position))

    async def work(self) -> dict[TP, Work]:
        """What each partition has to do, by the broker's own end offsets; changelogs while they recover.

        Empty during a rebalance. A topic at its bound whose agent acknowledges by hand is left out: its sink
        waits for its destination, and a restart would not help.
        """
        recovery = self.app.tables.recovery
        if recovery.in_recovery:
            return {tp: Work(left, left) for tp, left in recovery.active_remaining().items()}
        if self.app.rebalancing:
            return {}
        manual, full = agents.manual_topics(self.app), self._full_topics()
        watched = {tp for tp in self.assignment() if self._is_batch(tp)}
        watched = {tp for tp in watched if tp.topic not in manual or tp.topic not in full}
        ends = await self.highwaters(*watched) if watched else {}
        found = {}
        for tp, end in ends.items():
            ledger, read = self._ledgers.get(tp), await self.position(tp) or 0
            held = 0 if ledger is None or tp.topic in manual else ledger.unacked()
            found[tp] = Work(int(end) - read + held, (read, held))
        return found
