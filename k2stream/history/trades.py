"""Which trades a page has, and in which order (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class TradePlace(NamedTuple):
    """The place of a trade among those of its instrument: its time in µs, its id's number, its raw offset."""

    time: int
    sequence: int
    raw_offset: int


@dataclass(frozen=True, slots=True)
class TradePage:
    """Trades with start <= time < end (µs), beyond the place `after`, where the last page ended.

    Pages lead from the newest trade back if `descending`, or if there is neither a start nor a least id.
    `from_id` is the least id, of an exchange whose ids rise.
    """

    limit: int
    start: int | None = None
    end: int | None = None
    descending: bool = False
    from_id: int | None = None
    after: TradePlace | None = None

    @property
    def leads_back(self) -> bool:
        """Whether the next page has older trades."""
        return self.descending or (self.start is None and self.from_id is None)

    @property
    def first(self) -> int:
        """The earliest time (µs) of a trade of this page."""
        if self.after is not None and not self.leads_back:
            return max(self.after.time, self.start or 0)
        return self.start or 0

    def last(self, latest: int) -> int:
        """The time (µs) that all trades of this page are before; `latest` without another bound."""
        ends = [end for end in (self.end, self.after.time + 1 if self.after else None) if end is not None]
        return min(ends, default=latest) if self.leads_back else (latest if self.end is None else self.end)
