"""Parses the parameters of requests to table pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from k2stream.batch._key_text import Bound, SortKey
from k2stream.batch._parts import rank
from k2stream.model import clock
from k2stream.model.errors import RequestError

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 5_000
LISTING = ("at",)
GETTING = ("at", "partition")
RANGE = ("from", "to", "after", "limit", "partition", "at")
WINDOWS = (*RANGE, "key")
"""The parameters by kind of request; the last of a table of windows."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The first `limit` entries with start <= key < end, behind the position of rank `after`."""

    limit: int = DEFAULT_LIMIT
    start: Bound | None = None
    end: Bound | None = None
    after: SortKey | None = None
    key: Bound | None = None
    """Of a window table: only the windows of this key."""

    def has(self, place: Any, ordered: SortKey, partition: int) -> bool:
        """Whether the entry of a place is within the bounds; `ordered` is the order of the place."""
        if self.after is not None and (ordered, partition) <= self.after:
            return False
        if self.key is not None and not self._of_key(place, ordered):
            return False
        if self.start is not None and ordered < self.start.against(place):
            return False
        return self.end is None or ordered < self.end.against(place)

    def _of_key(self, place: Any, ordered: SortKey) -> bool:
        assert self.key is not None
        wanted: bool = ordered[1][0] == self.key.against(place)[1][0]
        return wanted


def check(parameters: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raise RequestError 400 for a parameter that is not known."""
    for name in parameters:
        if name not in known:
            raise RequestError(400, f"{name} is not a parameter here", parameters=known)


def partitions_of(parameters: Mapping[str, str], count: int) -> frozenset[int]:
    """Return the partitions that `partition` names, one or several with commas; all without it."""
    text = parameters.get("partition")
    if text is None:
        return frozenset(range(count))
    numbers = text.split(",")
    if not all(_is_number(number, 0, count - 1) for number in numbers):
        raise RequestError(400, f"partition={text} must be of 0 to {count - 1}, several with commas between")
    return frozenset(map(int, numbers))


def moment_of(parameters: Mapping[str, str], now: int) -> int | None:
    """Return `at` in ms since 1970, None without it; it must be past."""
    text = parameters.get("at")
    if text is None:
        return None
    try:
        at = clock.parse_time(text)
    except (ValueError, OverflowError):
        raise RequestError(
            400, f"at={text} must be ms since 1970 or ISO 8601, as in at=2026-01-31T12:00Z"
        ) from None
    if not 0 <= at <= now:
        raise RequestError(400, f"at={text} must be a time from 1970 to now, {clock.format_utc(now)} UTC")
    return at


def range_of(parameters: Mapping[str, str], windowed: bool) -> KeyRange:
    """Return the range that a list request asks for; raises RequestError 400 naming the parameter."""
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not _is_number(limit, 1, LARGEST_LIMIT):
        raise RequestError(400, f"limit={limit} must be a whole number from 1 to {LARGEST_LIMIT}")
    key = parameters.get("key")
    # With a key, its windows are bounded by their starts.
    lead = "" if key is None else f"{key}@"
    start, end = (
        None if (text := parameters.get(name)) is None else _bound(name, text, lead, windowed)
        for name in ("from", "to")
    )
    if start is not None and end is not None and not start.before(end):
        raise RequestError(400, f"from={parameters['from']} is not before to={parameters['to']}")
    return KeyRange(
        limit=int(limit),
        start=start,
        end=end,
        after=_after(parameters.get("after")),
        key=None if key is None else Bound.read(f"{key}@0", windowed),
    )


def _bound(name: str, text: str, lead: str, windowed: bool) -> Bound:
    bound = Bound.read(lead + text, windowed)
    if lead and bound.start == ():
        raise RequestError(400, f"{name}={text} with a key must be ms since 1970 or ISO 8601")
    return bound


def _after(text: str | None) -> SortKey | None:
    if text is None:
        return None
    try:
        place, partition = msgspec.json.decode(text, type=tuple[Any, int])
        return rank((place, partition))
    except ValueError:
        raise RequestError(400, f"after={text} must be as `next` of the page before has it") from None


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most
