"""The windows of a derived timeframe, each as the newest revisions of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from k2stream.history.fold import fold
from k2stream.history.timeframes import Timeframe, timeframe
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.history import PastCandles
from k2stream.web.query import RequestError

PER_KEY = 4
"""The most windows of a key whose parts are held; others are looked up when they change."""


@dataclass(slots=True)
class WindowParts:
    """The parts of one window by open time (ms).

    `ahead` has the parts whose revision may not be in the topic yet, or is after the place of the fold.
    """

    newest: dict[int, Candle] = field(default_factory=dict)
    ahead: dict[int, int] = field(default_factory=dict)

    def take(self, part: Candle) -> None:
        """A revision of the topic."""
        known = self.newest.get(part.open_time)
        if known is None or part.revision > known.revision:
            self.newest[part.open_time] = part
        if part.revision >= self.ahead.get(part.open_time, part.revision):
            self.ahead.pop(part.open_time, None)

    def whole(self, of: Timeframe, now: int, settled: int) -> Candle:
        """The folded candle; `now` and `settled` in ms, see `fold`."""
        (candle,) = fold((self.newest[opened] for opened in sorted(self.newest)), of, now, settled)
        return candle


class FoldedWindows:
    """Windows by key and open time; `held` returns the parts of a key that the topic's log holds."""

    def __init__(
        self,
        of: Timeframe,
        instruments: Mapping[str, Instrument],
        history: PastCandles,
        held: Callable[[str], Mapping[int, StreamEntry]],
    ) -> None:
        self._of, self._base = of, timeframe(of.base)
        self._instruments, self._history, self._held = instruments, history, held
        self._known: dict[str, dict[int, WindowParts]] = {}

    async def window(self, key: str, opened: int, reached: Place) -> WindowParts:
        """The window of a key that opened at a time (ms), for a fold that has reached a place of the topic.

        Raises RequestError where parts are unavailable.
        """
        windows = self._known.setdefault(key, {})
        if opened not in windows:
            windows[opened] = await self._looked_up(key, opened, reached)
            while len(windows) > PER_KEY:
                del windows[next(iter(windows))]
        return windows[opened]

    async def _looked_up(self, key: str, opened: int, place: Place) -> WindowParts:
        instrument, end = self._instruments[key], self._of.closing(opened)
        found: list[Candle] = []
        start = opened
        while start < end:
            answer = await self._history.read(instrument, self._base, start)
            if answer.missing:
                raise RequestError(503, f"parts of {key} {self._of.name} at {opened} are unavailable")
            found += (candle for candle in answer.candles if candle.open_time < end)
            full = len(answer.candles) >= answer.limit
            start = answer.candles[-1].open_time + 1 if full else end
        # From here on nothing is awaited: the log stands still.
        held = self._held(key)
        reached = max((entry.value.raw_offset for entry in held.values()), default=-1)
        parts = WindowParts({candle.open_time: candle for candle in found})
        parts.ahead = {
            part.open_time: part.revision for part in found if not part.final or part.raw_offset > reached
        }
        for time, entry in held.items():
            if opened <= time < end:
                parts.take(entry.value)
                if entry.place > place:  # the fold comes to it later, and from there it would come again
                    parts.ahead[time] = entry.revision
        return parts
