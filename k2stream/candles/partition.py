"""One partition's candles: applies batches of trades and returns changed windows, exactly across crashes.

The stores contain, by key, a state per window and the key's progress (last raw offset, newest event time).
They are written behind, so after a crash only some window entries of the last flush may be durable.
Progress must therefore be flushed after all window entries are durable, and a window may be dropped only one
flush later. A replay from the stored progress then finds the same trades late as the first run did, and a
window that is ahead of its key's progress takes only records beyond its own raw offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from k2stream.candles.codec import KeyProgress
from k2stream.candles.fold import fold, unapplied
from k2stream.candles.state import State, closed, merge
from k2stream.candles.watermark import Rows, admit, furthest
from k2stream.candles.windows import Window, Windows
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.trade import CandleInput


class WindowStore(Protocol):
    """The windows of one timeframe; open times in ms."""

    def get(self, key: str, open_time: int) -> State | None: ...
    def put(self, key: str, open_time: int, state: State) -> None: ...
    def delete(self, key: str, open_time: int) -> None: ...
    def windows(self) -> Iterable[tuple[str, int, State]]: ...


class ProgressStore(Protocol):
    """The progress per key."""

    def get(self, key: str) -> KeyProgress | None: ...
    def put(self, key: str, progress: KeyProgress) -> None: ...


@dataclass(frozen=True, slots=True)
class CandleChanges:
    """Result of a batch: new states by window, rows of late and ahead trades, number of replayed records."""

    updated: dict[Window, State]
    late: Rows
    ahead: Rows
    replayed: int


class CandlePartition:
    """Candles of the keys of one partition. `grace` and `idle` are in µs, `now` is the wall clock in µs."""

    def __init__(
        self,
        stores: Mapping[str, WindowStore],
        progress: ProgressStore,
        *,
        grace: int,
        idle: int,
        retention: int,
        now: int,
        least: int | None = None,
    ) -> None:
        """Start from the contents of `stores` (by timeframe) and `progress`; `least` as in Windows."""
        self._stores = stores
        self._progress = progress
        self._grace = grace
        self._idle = idle
        self.windows = Windows(retention, least)
        self._started = now
        self._seen: dict[str, int] = {}
        reached: dict[str, int] = {}
        for timeframe, store in stores.items():
            for key, open_time, state in store.windows():
                track = self.windows.closed if state.final else self.windows.opened
                track(timeframe, key, open_time)
                reached[key] = max(reached.get(key, 0), furthest(state))
        for key, newest in reached.items():
            self._bound(key, newest)

    def apply(self, trades: CandleInput, now: int) -> CandleChanges:
        """Fold a batch into the stores, and close windows that the watermarks have passed."""
        admission = admit(trades, self._progress.get, self._grace)
        updated: dict[Window, State] = {}
        keys = trades.keys
        applied = {key: self._applied(key) for key in admission.progress}
        for timeframe, partials in fold(trades, admission.rows):
            store = self._stores[timeframe]
            for code, open_time, part in partials:
                key = keys[code]
                current = store.get(key, open_time)
                if current is None:
                    if self.windows.expired(timeframe, key, open_time, self._watermark(key)):
                        continue  # its other trades are dropped: a candle of these alone would be wrong
                    self.windows.opened(timeframe, key, open_time)
                    state = part
                elif current.raw_offset <= applied[key]:
                    state = merge(current, part)
                else:
                    window = (code, open_time, TIMEFRAMES[timeframe])
                    rest = unapplied(trades, admission.rows, *window, current.raw_offset)
                    if rest is None:
                        continue
                    state = merge(current, rest)
                store.put(key, open_time, state)
                updated[timeframe, key, open_time] = state
        for key, progress in admission.progress.items():
            self._progress.put(key, progress)
            self._seen[key] = now
            self._close(key, self._watermark(key), updated)
        return CandleChanges(updated, admission.late, admission.ahead, admission.replayed)

    def close_silent(self, now: int) -> dict[Window, State]:
        """Close windows that ended `grace` ago by the clock, of keys without a record for `idle`.

        Call it only when the partition is fully consumed.
        """
        updated: dict[Window, State] = {}
        for key in self.windows.open_keys():
            if now - self._seen.get(key, self._started) >= self._idle:
                self._close(key, (now - self._grace) // 1000, updated)
        return updated

    def states(
        self, timeframe: str, key: str, select: Callable[[Sequence[int]], Sequence[int]]
    ) -> list[tuple[int, State]]:
        """Return open time (ms) and state of those of the key's windows that `select` chooses, ascending."""
        store = self._stores[timeframe]
        found = ((time, store.get(key, time)) for time in select(self.windows.open_times(timeframe, key)))
        return [(time, state) for time, state in found if state is not None]

    def newest(self, timeframe: str, key: str) -> tuple[int, State] | None:
        """Return open time (ms) and state of the key's last window that has trades up to `reached`."""
        open_time = self.windows.newest(timeframe, key, self.reached(key) + 1)
        state = None if open_time is None else self._stores[timeframe].get(key, open_time)
        return None if open_time is None or state is None else (open_time, state)

    def expire(self) -> None:
        """Drop windows beyond the retention; call it once before each flush of the stores."""
        for timeframe, key, open_time in self.windows.expire(self._watermark):
            self._stores[timeframe].delete(key, open_time)

    def reached(self, key: str) -> int:
        """Return the key's newest event time in ms; windows that open later have only trades dated ahead."""
        progress = self._progress.get(key)
        return -1 if progress is None else progress.newest // 1000

    def _bound(self, key: str, newest: int) -> None:
        """Lower a newest event time that an earlier release stored without the bound on ahead trades."""
        progress = self._progress.get(key)
        if progress is not None and progress.newest > newest:
            self._progress.put(key, progress._replace(newest=newest))

    def _watermark(self, key: str) -> int:
        """Return the key's watermark in ms; -1 before its first trade."""
        progress = self._progress.get(key)
        return -1 if progress is None else (progress.newest - self._grace) // 1000

    def _applied(self, key: str) -> int:
        progress = self._progress.get(key)
        return -1 if progress is None else progress.raw_offset

    def _close(self, key: str, until: int, updated: dict[Window, State]) -> None:
        for window in self.windows.close(key, until):
            timeframe, _, open_time = window
            state = self._stores[timeframe].get(key, open_time)
            if state is None:
                raise LookupError(f"open window {window} is not in its table")
            state = closed(state)
            self._stores[timeframe].put(key, open_time, state)
            updated[window] = state
