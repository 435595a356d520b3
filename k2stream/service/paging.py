"""Pages of candles: which way they lead, and the cursor of the next one (pure)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from k2stream.web.query import Query, RequestError

BACK, ON = "b", "f"
"""Directions of a cursor: before a time, and from a time on."""

OPEN_WINDOWS = 4
"""How many more candles are read if only final ones are wanted: so many may be open at the newest end."""

_CURSOR = re.compile(r"([bf])(\d{1,13})")


class Timed(Protocol):
    """A candle, or what has the open time of one in ms."""

    @property
    def open_time(self) -> int: ...


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class CandlePage:
    """A page of candles with start <= open_time < end (ms), as a request asks for it.

    Pages lead from the newest candle back if the order is descending or there is no start, else from the
    start on. Candles of a page are in the order that was asked for.
    """

    limit: int
    start: int | None
    end: int | None
    descending: bool

    @property
    def leads_back(self) -> bool:
        """Whether the next page has older candles."""
        return self.descending or self.start is None

    def at(self, cursor: str | None) -> CandlePage:
        """The page that a cursor of an answer leads to. Raises RequestError 400."""
        if cursor is None:
            return self
        direction, time = _decoded(cursor)
        if (direction == BACK) != self.leads_back:
            raise RequestError(400, "cursor belongs to another request: repeat its start and order")
        if direction == BACK:
            return CandlePage(self.limit, self.start, time, self.descending)
        return CandlePage(self.limit, time, self.end, self.descending)

    def query(self, extra: int, fill: str) -> Query:
        """What to read for the page, with `extra` candles beyond it."""
        start = None if self.leads_back else self.start
        return Query(self.limit + extra, start, self.end, fill)

    def cut(self, found: Sequence[T], wanted: Sequence[T], most: int) -> tuple[Sequence[T], str | None]:
        """The page's candles, and the cursor of the next page, None if there is none.

        `found` are all candles that were read, ascending, at most `most`; `wanted` are those of them that the
        answer may have.
        """
        since = 0 if self.start is None else self.start
        inside = [each for each in wanted if each.open_time >= since]
        page = inside[-self.limit :] if self.leads_back else inside[: self.limit]
        more = len(page) < len(inside) or (len(found) >= most and found[0].open_time >= since)
        cursor = self._cursor(page or found) if more else None
        return (page[::-1] if self.descending else page), cursor

    def older(self, open_time: int) -> str:
        """The cursor of a page that leads back, after the candle with this open time."""
        return _encoded(BACK, open_time)

    def _cursor(self, page: Sequence[Timed]) -> str:
        if self.leads_back:
            return self.older(page[0].open_time)
        return _encoded(ON, page[-1].open_time + 1)


def _encoded(direction: str, time: int) -> str:
    return urlsafe_b64encode(f"{direction}{time}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[str, int]:
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        text = ""
    if (found := _CURSOR.fullmatch(text)) is None:
        raise RequestError(400, "cursor is not one that an answer gave as `next`")
    return found[1], int(found[2])
