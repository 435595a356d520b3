"""The last trades of a numbering, as pairs of identity and content: 16 bytes each, the oldest first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from k2stream.normalizer.continuity.content import Hashes

LIMIT = 256
"""How many are remembered: more than any exchange repeats after a connect."""

Pairs = NDArray[np.uint64]
"""(n, 2): identity, content."""


def pairs(identity: Hashes, content: Hashes) -> Pairs:
    """One a trade."""
    return np.stack((identity, content), axis=1)


def unpacked(packed: bytes) -> Pairs:
    """The pairs of a state."""
    return np.frombuffer(packed, "<u8").reshape(-1, 2)


def appended(packed: bytes, added: Pairs) -> bytes:
    """A state's pairs after `added` came."""
    if len(added) >= LIMIT:
        packed = b""
    kept = packed[max(0, len(packed) + 16 * (len(added) - LIMIT)) :]
    return kept + added[-LIMIT:].astype("<u8", copy=False).tobytes()


class Recent:
    """The same with a look-up, for the batches that need one."""

    def __init__(self, before: Pairs) -> None:
        self._order: deque[tuple[int, int]] = deque()
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._identities: Counter[int] = Counter()
        self.extend(before)

    def extend(self, added: Pairs) -> None:
        """What came since."""
        for identity, content in added[-LIMIT:].tolist():
            self.add(identity, content)

    def add(self, identity: int, content: int) -> None:
        """One trade."""
        self._order.append((identity, content))
        self._pairs[identity, content] += 1
        self._identities[identity] += 1
        if len(self._order) > LIMIT:
            oldest = self._order.popleft()
            self._pairs[oldest] -= 1
            self._identities[oldest[0]] -= 1

    def has(self, identity: int, contents: Iterable[int]) -> bool:
        """Whether a trade of this identity said one of these."""
        return any(self._pairs[identity, content] > 0 for content in contents)

    def has_identity(self, identity: int) -> bool:
        """Whether there was a trade of this identity, whatever it said."""
        return self._identities[identity] > 0
