"""When a process that keeps ending is started again: at once, then ever later (pure)."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_SECONDS = 60.0
STEADY_SECONDS = 300.0
"""A process that ran for so long is taken for well: its count starts again."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a process has ended in a row; all times in s, from a monotonic clock."""

    count: int = 0
    at: float | None = None
    """When it is to be started again; None while it runs."""

    def ended(self, started: float, now: float, longest: float = LONGEST_SECONDS) -> Restarts:
        """After an end: at once the first time, then after 1, 2, 4 … seconds, at most the longest."""
        before = 0 if now - started >= STEADY_SECONDS else self.count
        delay = min(2.0 ** min(before - 1, 30), longest) if before else 0.0
        return Restarts(before + 1, now + delay)

    def again(self) -> Restarts:
        """It was started again."""
        return Restarts(self.count)
