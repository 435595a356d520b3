"""Which trades a page has, and in which order (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

WIDTHS_US = (3_600_000_000, 86_400_000_000)
"""Spans of time that are looked through first: most pages are full within an hour."""


class TradePlace(NamedTuple):
    """The place of a trade among those of its instrument: its time in µs, its id's number, its raw offset."""

    time: int
    sequence: int
    raw_offset: int

    @property
    def number(self) -> int:
        """The number of the trade: its id, or its raw offset where the exchange has no ids."""
        return self.sequence or self.raw_offset


@dataclass(frozen=True, slots=True)
class TradePage:
    """Trades with start <= time < end (µs), beyond the place `after`, where the last page ended.

    Pages lead from the newest trade back if `descending`, or if there is neither a start nor a least number.
    `from_id` is the least number; such a page is in order of numbers, any other in order of time. `recent`
    pages, and those by number, have no trades of the cold store.
    """

    limit: int
    start: int | None = None
    end: int | None = None
    descending: bool = False
    from_id: int | None = None
    after: TradePlace | None = None
    recent: bool = False

    @property
    def leads_back(self) -> bool:
        """Whether the next page has older trades."""
        return self.descending or (self.start is None and self.from_id is None)

    @property
    def by_number(self) -> bool:
        """Whether the trades are in order of their numbers."""
        return self.from_id is not None

    @property
    def place(self) -> tuple[int, ...] | None:
        """The place `after` by what the page is in order of."""
        if self.after is None or not self.by_number:
            return self.after
        return self.after.number, self.after.raw_offset

    @property
    def first(self) -> int:
        """The earliest time (µs) of a trade of this page."""
        if self.after is not None and not self.leads_back and not self.by_number:
            return max(self.after.time, self.start or 0)
        return self.start or 0

    def last(self, latest: int) -> int:
        """The time (µs) that all trades of this page are before; `latest` without another bound."""
        ends = [latest if self.end is None else self.end]
        if self.after is not None and self.leads_back and not self.by_number:
            ends.append(self.after.time + 1)
        return min(ends)

    def windows(self, oldest: int, newest: int) -> Iterator[TradePage]:
        """The same page over wider and wider spans of time (µs), the last one over all.

        A full page over any of them is the page: a store that sorts what it finds need not look at the rest.
        """
        first, last = max(self.first, oldest), min(self.last(newest + 1), newest + 1)
        for width in () if self.by_number else WIDTHS_US:
            if last - first > width:
                if self.leads_back:
                    yield replace(self, start=last - width, descending=True)
                else:
                    yield replace(self, end=first + width)
        yield self
