"""Ranges [first, last] of unseen ids, ascending and disjoint."""

from __future__ import annotations

from bisect import bisect_right

MAX_RANGES = 256
"""Ranges remembered per numbering: beyond that, the ids of the lowest count as seen.

The range that starts at 0 is always kept: it is the past before the first id, which may still be fetched.
"""

UnseenIds = list[tuple[int, int]]


def holds(unseen: UnseenIds, number: int) -> bool:
    """Whether an id is unseen."""
    at = bisect_right(unseen, number, key=lambda ids: ids[0]) - 1
    return at >= 0 and unseen[at][1] >= number


def fill(unseen: UnseenIds, number: int) -> bool:
    """Remove an id from its range; returns False when it is in none."""
    at = bisect_right(unseen, number, key=lambda ids: ids[0]) - 1
    if at < 0 or unseen[at][1] < number:
        return False
    first, last = unseen[at]
    unseen[at : at + 1] = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
    return True


def give_up(unseen: UnseenIds) -> None:
    """Drop the lowest ranges beyond MAX_RANGES."""
    while len(unseen) > MAX_RANGES:
        del unseen[unseen[0][0] == 0]
