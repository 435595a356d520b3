"""A consumer that reports its remaining work."""

from __future__ import annotations

import time
from abc import abstractmethod

from k2stream.batch import _agents as agents
from k2stream.batch._guarded import Guarded
from k2stream.batch._records import TP
from k2stream.batch._stall import Work

# Maximum age of a high-water mark: this worker may have been suspended, and removed from its group.
HIGHWATER_SECONDS = 2.0


class Measured(Guarded):
    """Measures the remaining work against the broker's end offsets."""

    @abstractmethod
    def _is_batch(self, tp: TP) -> bool:
        """Whether a partition is delivered in batches."""

    @abstractmethod
    def _full_topics(self) -> set[str]:
        """Return the topics at their limit of unacknowledged records."""

    def remaining(self, tp: TP) -> int | None:
        """Return the number of unacknowledged records up to the current high-water mark; None if unknown."""
        if tp not in self.assignment() or (end := self.highwater(tp)) is None:
            return None
        if time.monotonic() - self._thread.asked(tp) > HIGHWATER_SECONDS:
            return None
        ledger = self._ledgers.get(tp)
        position = None if ledger is None else ledger.position()
        return int(end - (self._committed_offset.get(tp) or 0 if position is None else position))

    async def work(self) -> dict[TP, Work]:
        """Return each partition's remaining work by the broker's end offsets (in recovery: the changelogs').

        Empty during a rebalance. A manually acknowledged topic at its limit is omitted: its sink waits for
        the destination, and a restart would not help.
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
            unacked = 0 if ledger is None or tp.topic in manual else ledger.unacked()
            found[tp] = Work(int(end) - read + unacked, (read, unacked))
        return found
