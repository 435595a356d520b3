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


def beside(own: UnseenIds, number: int, plain: UnseenIds, first: int, last: int) -> UnseenIds:
    """The unseen plain ids beside an aggregated trade, `number` of its own, that came late.

    No other aggregated trade can stand for them, unless the one on that side is unseen too.
    """
    sides = [
        side for side, next_to in ((first - 1, number - 1), (last + 1, number + 1)) if not holds(own, next_to)
    ]
    return [part for part in plain if any(part[0] <= side <= part[1] for side in sides)]


def count(unseen: UnseenIds, highest: int, first: int, last: int) -> int:
    """How many of the ids from `first` to `last` are unseen, or above the highest seen one."""
    at = max(bisect_right(unseen, first, key=lambda ids: ids[0]) - 1, 0)
    found = max(0, last - max(highest, first - 1))
    while at < len(unseen) and unseen[at][0] <= last:
        found += max(0, min(unseen[at][1], last) - max(unseen[at][0], first) + 1)
        at += 1
    return found


def fill_all(unseen: UnseenIds, first: int, last: int) -> None:
    """Remove the ids from `first` to `last` from their ranges."""
    begin = max(bisect_right(unseen, first, key=lambda ids: ids[0]) - 1, 0)
    end = bisect_right(unseen, last, key=lambda ids: ids[0])
    unseen[begin:end] = [
        part
        for low, high in unseen[begin:end]
        for part in ((low, min(high, first - 1)), (max(low, last + 1), high))
        if part[0] <= part[1]
    ]


def give_up(unseen: UnseenIds) -> None:
    """Drop the lowest ranges beyond MAX_RANGES."""
    while len(unseen) > MAX_RANGES:
        del unseen[unseen[0][0] == 0]
