"""Restart back-off of a process that keeps ending: at once, then with growing delays. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_SECONDS = 60.0
STEADY_SECONDS = 300.0
"""A process that ran for this long counts as healthy: its restart count is reset."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a process has ended in a row; all times in seconds of a monotonic clock."""

    count: int = 0
    at: float | None = None
    """When to start it again; None while it runs."""

    def ended(self, started: float, now: float, longest: float = LONGEST_SECONDS) -> Restarts:
        """After an end: restart at once the first time, then after 1, 2, 4, … seconds, at most `longest`."""
        before = 0 if now - started >= STEADY_SECONDS else self.count
        delay = min(2.0 ** min(before - 1, 30), longest) if before else 0.0
        return Restarts(before + 1, now + delay)

    def again(self) -> Restarts:
        """After a restart."""
        return Restarts(self.count)
