"""Holes: ranges [first, last] of unseen ids, ascending and disjoint."""

from __future__ import annotations

from bisect import bisect_right

MAX_HOLES = 256
"""Holes remembered per numbering: beyond that, the ids of the lowest count as seen.

The hole that starts at 0 is always kept: it is the past before the first id, which may still be fetched.
"""

Holes = list[tuple[int, int]]


def holds(holes: Holes, number: int) -> bool:
    """Whether an id is in a hole."""
    at = bisect_right(holes, number, key=lambda hole: hole[0]) - 1
    return at >= 0 and holes[at][1] >= number


def fill(holes: Holes, number: int) -> bool:
    """Remove an id from its hole; returns False when it is in none."""
    at = bisect_right(holes, number, key=lambda hole: hole[0]) - 1
    if at < 0 or holes[at][1] < number:
        return False
    first, last = holes[at]
    holes[at : at + 1] = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
    return True


def give_up(holes: Holes) -> None:
    """Drop the lowest holes beyond MAX_HOLES."""
    while len(holes) > MAX_HOLES:
        del holes[holes[0][0] == 0]
