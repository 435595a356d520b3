"""The wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff with jitter: attempt n waits randomly base to min(cap, base × 2ⁿ) seconds."""

    def __init__(
        self, base: float, cap: float, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base = min(base, cap)
        self._cap = cap
        self._ceiling = self._base
        self._uniform = uniform

    def next(self) -> float:
        """Return the seconds to wait; the upper limit of the next wait is doubled, up to the cap."""
        self._ceiling = min(self._cap, self._ceiling * 2)
        return self._uniform(self._base, self._ceiling)

    def reset(self) -> None:
        """Start over after a success."""
        self._ceiling = self._base
