"""Tracks which windows are open, due to close, or beyond the retention."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Sequence

from k2stream.model.candle import TIMEFRAMES

Window = tuple[str, str, int]
"""(timeframe, key, open time in ms)."""

_NEVER = 1 << 62


class Windows:
    """The index of one partition's windows, whose states are in the tables. Times are in ms."""

    def __init__(self, retention: int, least: int | None = None) -> None:
        """Create an empty index; `least` is the smallest retention ever used, None if that is `retention`."""
        self._retention = retention
        self._least = retention if least is None else least
        self._open: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)  # by key and window: its end
        self._next_end: dict[str, int] = {}
        self._closed: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._doomed: list[Window] = []

    def opened(self, timeframe: str, key: str, open_time: int) -> None:
        """Add a window with its first trade."""
        end = open_time + TIMEFRAMES[timeframe]
        self._open[key][(timeframe, open_time)] = end
        if end < self._next_end.get(key, _NEVER):
            self._next_end[key] = end

    def close(self, key: str, until: int) -> list[Window]:
        """Close the key's open windows that end at or before `until`; earliest end first, then shortest."""
        if self._next_end.get(key, _NEVER) > until:
            return []
        open_ = self._open[key]
        due = sorted(
            (end, TIMEFRAMES[timeframe], timeframe, open_time)
            for (timeframe, open_time), end in open_.items()
            if end <= until
        )
        for _, _, timeframe, open_time in due:
            del open_[(timeframe, open_time)]
            self.closed(timeframe, key, open_time)
        self._next_end[key] = min(open_.values(), default=_NEVER)
        return [(timeframe, key, open_time) for _, _, timeframe, open_time in due]

    def closed(self, timeframe: str, key: str, open_time: int) -> None:
        """Count a closed window towards the retention."""
        insort(self._closed[timeframe, key], open_time)

    def expired(self, timeframe: str, key: str, open_time: int, watermark: int) -> bool:
        """Whether an unknown window may have been dropped before.

        It may if the watermark has passed it and the windows within the retention are newer. Windows older
        than it may still be present: after a crash only some deletions of a flush may be durable.
        """
        closed = self._closed.get((timeframe, key), [])
        passed = open_time + TIMEFRAMES[timeframe] <= watermark
        if not passed or not closed or len(closed) < min(self._least, self._retention):
            return False
        # If the retention was raised, everything older than the oldest window here was dropped before.
        oldest = closed[-self._retention] if len(closed) >= self._retention else closed[0]
        return open_time < oldest

    def open_times(self, timeframe: str, key: str) -> list[int]:
        """Return the open times of the key's windows, ascending."""
        closed, open_ = self._times(timeframe, key)
        times = [*closed, *open_]
        return times if not closed or not open_ or closed[-1] < open_[0] else sorted(times)

    def newest(self, timeframe: str, key: str, before: int) -> int | None:
        """Return the open time of the key's last window that opens before a time (ms); None without one."""
        closed = self._closed.get((timeframe, key), ())
        found = closed[bisect_left(closed, before) - 1] if closed and closed[0] < before else -1
        for name, time in self._open.get(key, ()):
            if name == timeframe and found < time < before:
                found = time
        return None if found < 0 else found

    def oldest(self, timeframe: str, key: str) -> int | None:
        """Return the open time of the key's first window; None without one."""
        return min((times[0] for times in self._times(timeframe, key) if times), default=None)

    def _times(self, timeframe: str, key: str) -> tuple[Sequence[int], Sequence[int]]:
        """The open times of closed and of open windows, each ascending."""
        open_ = [time for name, time in self._open.get(key, ()) if name == timeframe]
        open_.sort()
        return self._closed.get((timeframe, key), ()), open_

    def open_keys(self) -> list[str]:
        """Return the keys with at least one open window."""
        return [key for key, windows in self._open.items() if windows]

    def open_counts(self) -> dict[str, int]:
        """Return the number of open windows by timeframe."""
        counts = dict.fromkeys(TIMEFRAMES, 0)
        for windows in self._open.values():
            for timeframe, _ in windows:
                counts[timeframe] += 1
        return counts

    def expire(self, watermark: Callable[[str], int]) -> list[Window]:
        """Return the windows to drop now: those that were beyond the retention at the previous call.

        The delay of one call is on purpose: by then the watermark that closed them is durable, so that no
        replay can bring one of their trades again. Windows that only the clock closed are not dropped,
        because the key's `watermark` (ms) has not passed them.
        """
        dropped, self._doomed = self._doomed, []
        for (timeframe, key), closed in self._closed.items():
            excess = len(closed) - self._retention
            if excess <= 0:
                continue
            latest = watermark(key) - TIMEFRAMES[timeframe]
            doomed = [open_time for open_time in closed[:excess] if open_time <= latest]
            del closed[: len(doomed)]
            self._doomed += [(timeframe, key, open_time) for open_time in doomed]
        return dropped
