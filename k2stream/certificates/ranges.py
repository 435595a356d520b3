"""Ranges of trade ids: ascending and disjoint per numbering, so that most windows have one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Ids = tuple[str, int, int]
"""A numbering of the exchange (its trade conditions: "", "aggregated", "epoch:1", …), first and last id."""


def add(ranges: list[Ids], numbering: str, number: int) -> None:
    """Add one id."""
    if ranges and ranges[-1][0] == numbering and ranges[-1][2] == number - 1:  # nearly every trade
        ranges[-1] = (numbering, ranges[-1][1], number)
        return
    at = bisect_left(ranges, (numbering, number + 1, 0))
    first = last = number
    if at < len(ranges) and ranges[at][:2] == (numbering, number + 1):
        last = ranges.pop(at)[2]
    if at and ranges[at - 1][0] == numbering:
        _, before, end = ranges[at - 1]
        if end >= number:
            return
        if end == number - 1:
            first = before
            del ranges[at - 1]
            at -= 1
    ranges.insert(at, (numbering, first, last))


def merged(several: Iterable[Iterable[Ids]]) -> list[Ids]:
    """The union of several lists of ranges."""
    found: list[Ids] = []
    for numbering, first, last in sorted(item for ranges in several for item in ranges):
        if found and found[-1][0] == numbering and first <= found[-1][2] + 1:
            found[-1] = (numbering, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((numbering, first, last))
    return found


def holes(ranges: Iterable[Ids]) -> Iterator[Ids]:
    """The ids between the ranges of each numbering."""
    before: Ids | None = None
    for item in ranges:
        if before and before[0] == item[0]:
            yield item[0], before[2] + 1, item[1] - 1
        before = item
