"""The last trades of a numbering as (identity, content) pairs, 16 bytes each, oldest first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from k2stream.normalizer.continuity.content import Hashes

LIMIT = 256
"""Trades remembered per numbering: more than any exchange repeats after a connect."""

Pairs = NDArray[np.uint64]
"""Array of shape (n, 2): identity, content."""


def pairs(identity: Hashes, content: Hashes) -> Pairs:
    """One pair per trade."""
    return np.stack((identity, content), axis=1)


def unpacked(packed: bytes) -> Pairs:
    """Decode the pairs of a state."""
    return np.frombuffer(packed, "<u8").reshape(-1, 2)


def appended(packed: bytes, added: Pairs) -> bytes:
    """Append pairs to those of a state, keeping the last LIMIT."""
    if len(added) >= LIMIT:
        packed = b""
    kept = packed[max(0, len(packed) + 16 * (len(added) - LIMIT)) :]
    return kept + added[-LIMIT:].astype("<u8", copy=False).tobytes()


class Recent:
    """The last pairs with a lookup, for batches that need one."""

    def __init__(self, before: Pairs) -> None:
        self._order: deque[tuple[int, int]] = deque()
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._identities: Counter[int] = Counter()
        self.extend(before)

    def extend(self, added: Pairs) -> None:
        """Add pairs; only the last LIMIT matter."""
        for identity, content in added[-LIMIT:].tolist():
            self.add(identity, content)

    def add(self, identity: int, content: int) -> None:
        """Add one pair, dropping the oldest beyond LIMIT."""
        self._order.append((identity, content))
        self._pairs[identity, content] += 1
        self._identities[identity] += 1
        if len(self._order) > LIMIT:
            oldest = self._order.popleft()
            self._pairs[oldest] -= 1
            self._identities[oldest[0]] -= 1

    def has(self, identity: int, contents: Iterable[int]) -> bool:
        """Whether a remembered trade has this identity and one of these contents."""
        return any(self._pairs[identity, content] > 0 for content in contents)

    def has_identity(self, identity: int) -> bool:
        """Whether a remembered trade has this identity, with any content."""
        return self._identities[identity] > 0
