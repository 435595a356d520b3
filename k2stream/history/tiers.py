"""Where one tier ends and the next begins (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar


class Revised(Protocol):
    """A candle, or what stands for one: its open time (ms) and its revision."""

    @property
    def open_time(self) -> int: ...

    @property
    def revision(self) -> int: ...


C = TypeVar("C", bound=Revised)


class UnknownRange(NamedTuple):
    """Windows that open between two times (ms, both exclusive) may have candles that no tier has yet."""

    after: int
    before: int

    def meets(self, first: Revised, second: Revised) -> bool:
        """Whether a window between two candles is in the range."""
        return first.open_time < self.before and second.open_time > self.after


@dataclass(frozen=True, slots=True)
class CandleSpan:
    """Candles with start <= open_time < end (ms): the first `limit` when a start is given, else the last."""

    limit: int
    start: int | None = None
    end: int | None = None

    @property
    def newest(self) -> bool:
        """Whether the span asks for the newest candles, whatever their time."""
        return self.start is None and self.end is None

    def cut(self, found: Mapping[int, C]) -> list[C]:
        """The candles of the span, ascending, from candles by open time."""
        times = [
            time
            for time in sorted(found)
            if (self.start is None or time >= self.start) and (self.end is None or time < self.end)
        ]
        wanted = times[-self.limit :] if self.start is None else times[: self.limit]
        return [found[time] for time in wanted]


def rest(span: CandleSpan, found: int, since: int | None) -> CandleSpan | None:
    """The span to query a colder tier for; None when it can add nothing.

    `found` is the number of candles so far, `since` the oldest open time (ms) that the warmer tiers have of
    the symbol, inside the span or not. That one candle is queried again: a table that was rebuilt from a
    truncated topic begins with a partial candle, and the colder tier has its higher revision.
    """
    ends = [end for end in (span.end, None if since is None else since + 1) if end is not None]
    end = min(ends, default=None)
    if span.start is None:
        return CandleSpan(span.limit - found + 1, None, end) if found < span.limit else None
    return None if since is not None and since <= span.start else CandleSpan(span.limit, span.start, end)


def newest(candles: Iterable[C], found: Mapping[int, C] | None = None) -> dict[int, C]:
    """Candles by open time, each once in its highest revision; of equal revisions, the first is kept."""
    merged = dict(found or {})
    for candle in candles:
        best = merged.get(candle.open_time)
        if best is None or candle.revision > best.revision:
            merged[candle.open_time] = candle
    return merged
