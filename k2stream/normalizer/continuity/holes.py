"""Ranges of ids that did not come: [first, last], ascending, none touching another's ids."""

from __future__ import annotations

from bisect import bisect_right

MAX_HOLES = 256
"""Ranges of unseen ids remembered per numbering: when there are more, the lowest is given up as seen.

Not the one from 0 on: it is the past before the first id, which may yet be fetched.
"""

Holes = list[tuple[int, int]]


def holds(holes: Holes, number: int) -> bool:
    """Whether an id is in one of them."""
    at = bisect_right(holes, number, key=lambda hole: hole[0]) - 1
    return at >= 0 and holes[at][1] >= number


def fill(holes: Holes, number: int) -> bool:
    """Take an id out of its hole; False when it is in none."""
    at = bisect_right(holes, number, key=lambda hole: hole[0]) - 1
    if at < 0 or holes[at][1] < number:
        return False
    first, last = holes[at]
    holes[at : at + 1] = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
    return True


def give_up(holes: Holes) -> None:
    """Keep to MAX_HOLES."""
    while len(holes) > MAX_HOLES:
        del holes[holes[0][0] == 0]
