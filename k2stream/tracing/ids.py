"""Ids of traces and spans, which follow from the place of a trade in its raw topic. Pure.

All stages, and every replay, find the same ids and the same sample without passing anything on.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint64]

_PARTITION, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


def seed(text: str) -> int:
    """A number of 64 bits for a name."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def trace_ids(seeds: Ids, partition: NDArray[np.int64], offset: NDArray[np.int64]) -> tuple[Ids, Ids]:
    """The high and the low 64 bits of the trace ids of trades; `seeds` are those of their exchanges."""
    with np.errstate(over="ignore"):
        place = _mixed(seeds + partition.astype(np.uint64) * _PARTITION) ^ offset.astype(np.uint64)
        high = _mixed(place)
        return high, _mixed(high ^ _SECOND) | np.uint64(1)  # an id of zeros is no id


def is_sampled(high: Ids, one_in: int) -> NDArray[np.bool_]:
    """Which trades belong to the sample of one in so many."""
    return high <= np.uint64((2**64 - 1) // one_in)


def span_id(high: int, low: int, stage: str) -> int:
    """The id of a stage's span in a trace: 64 bits."""
    return seed(f"{high:016x}{low:016x}{stage}") or 1


def _mixed(values: Ids) -> Ids:
    """SplitMix64's finalizer: each bit of the input changes half of those of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
