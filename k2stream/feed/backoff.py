"""How long to wait before the next connection attempt."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter: attempt n waits base … min(cap, base × 2ⁿ) seconds, at random."""

    def __init__(
        self, base: float, cap: float, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base = min(base, cap)
        self._cap = cap
        self._ceiling = self._base
        self._uniform = uniform

    def next(self) -> float:
        """Seconds to wait now; the following wait is drawn from a range twice as wide, up to the cap."""
        self._ceiling = min(self._cap, self._ceiling * 2)
        return self._uniform(self._base, self._ceiling)

    def reset(self) -> None:
        """Start over after a connection that held."""
        self._ceiling = self._base
