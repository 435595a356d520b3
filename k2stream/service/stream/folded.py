"""Candles of a derived timeframe: folded anew whenever a part gets a revision, or a window ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from k2stream.history.timeframes import Timeframe
from k2stream.service.stream.channels import candle_text
from k2stream.service.stream.entries import Log, Place, StreamEntry
from k2stream.service.stream.folded_windows import FoldedWindows, WindowParts
from k2stream.service.stream.follower import Follower
from k2stream.service.stream.latest import LatestLog
from k2stream.service.stream.listeners import Listened
from k2stream.service.stream.reached import AHEAD_MS
from k2stream.web.health import FeedHealth
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)


CLOCK_SECONDS = 1.0
"""How often the clock, which may be set, is read."""


class FoldedLog(LatestLog):
    """Folded candles. A window can become final at an offset that was reached before, so clocks count."""

    def begin_at(self, places: Mapping[int, Place]) -> None:
        """Start anew after some places."""
        self.begin({number: place.offset + 1 for number, place in places.items()})
        self.positions = dict(places)
        self._begun = dict(places)

    def covers(self, keys: Iterable[str], partition: int, place: Place) -> bool:
        """Whether `after` knows all entries after a place."""
        return place >= self._begun[partition] and super().covers(keys, partition, place)


class FoldedFollower(Listened):
    """A source of some keys, by partition, over the one of the stored timeframe that fits.

    A place is that of the part which changed a candle, and when (ms) it was folded. `now` returns ms since
    1970; `settled` is how long (ms) after its end a window may still lack a part.
    """

    has_history = True

    def __init__(
        self,
        base: Follower,
        of: Timeframe,
        keys: Mapping[int, Sequence[str]],
        windows: FoldedWindows,
        health: FeedHealth,
        settled: int,
        now: Callable[[], int],
    ) -> None:
        self.base, self._of, self._keys, self._health = base, of, keys, health
        self._log = FoldedLog()
        self.log: Log = self._log
        self.broken: Callable[[], None] = lambda: None
        self._windows, self._settled, self._now = windows, settled, now
        super().__init__()
        self._ready, self._changed = asyncio.Event(), asyncio.Event()
        self._consumed: dict[int, Place] = {}
        self._closing = 0

    async def ready(self) -> None:
        """Return when the log goes on from what was the topic's end."""
        await self._ready.wait()

    def text(self, entry: StreamEntry) -> bytes:
        """The members of an entry's message up to the resume token; encoded once."""
        if not entry.text:
            entry.text = candle_text(entry.value, self._of.name, self._health)
        return entry.text

    @property
    def identity(self) -> str:
        """Tells the log of the parts from one that was there before; empty where that is unknown."""
        return self.base.identity

    async def confirm(self, identity: str, places: Mapping[int, Place]) -> None:
        """Return if places of the log `identity` are of the topic's log. Raises OutOfReach."""
        await self.base.confirm(identity, places)

    async def since(self, ms: int) -> dict[int, Place]:
        """Candles have a history: see `has_history`."""
        raise NotImplementedError

    def flush(self) -> None:
        """Parts have new revisions."""
        self._changed.set()

    async def run(self) -> None:
        """Fold until cancelled."""
        await self.base.ready()
        begun = self._now()
        self._consumed = {number: self.base.log.positions[number] for number in self._keys}
        self._log.begin_at({number: Place(at.offset, begun) for number, at in self._consumed.items()})
        self._closing = self._of.closing(self._of.opening(begun - self._settled))
        keys = [key for names in self._keys.values() for key in names]
        self.base.listen(keys, self)
        self._ready.set()
        try:
            while True:
                await self._wait()
                for number, names in self._keys.items():
                    await self._fold(number, names)
                if self._closing + self._settled <= self._now():
                    await self._close(self._of.opening(self._closing - 1))
                    self._closing = self._of.closing(self._closing)
        except RequestError as error:
            logger.warning("%s candles cannot be folded: %s", self._of.name, error)
            self.broken()
        finally:
            self.base.leave(keys, self)

    async def _wait(self) -> None:
        """Until parts have changed, or a window has ended."""
        try:
            left = max(self._closing + self._settled - self._now(), 0) / 1000
            async with asyncio.timeout(min(left, CLOCK_SECONDS)):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def _fold(self, number: int, keys: Sequence[str]) -> None:
        """What parts have changed into."""
        log, consumed = self.base.log, self._consumed[number]
        reached = log.positions[number]
        if not log.covers(keys, number, consumed):
            raise RequestError(503, "the topic's log goes on elsewhere")
        changed: dict[tuple[str, int], Place] = {}
        for entry in log.after(keys, number, consumed):
            name = entry.key, self._of.opening(entry.time)
            (await self._windows.window(*name, reached)).take(entry.value)
            changed.pop(name, None)
            changed[name] = entry.place
        for (key, opened), place in changed.items():
            parts = await self._windows.window(key, opened, reached)
            await self._add(self._entry(key, number, opened, parts, place, sure=not parts.ahead))
        self._consumed[number] = reached
        self.log.positions[number] = max(self.log.positions[number], Place(reached.offset, self._now()))

    async def _close(self, opened: int) -> None:
        """What has ended is final, if its parts are."""
        for number, keys in self._keys.items():
            for key in keys:
                parts = await self._windows.window(key, opened, self._consumed[number])
                if parts.newest:
                    place = self.log.positions[number]
                    await self._add(self._entry(key, number, opened, parts, place, sure=False))

    def _entry(
        self, key: str, number: int, opened: int, parts: WindowParts, place: Place, *, sure: bool
    ) -> StreamEntry:
        candle = parts.whole(self._of, self._now(), self._settled)
        sure = sure and not candle.final  # which time may have made it, at any place
        return StreamEntry(key, number, place, opened, candle.revision, candle, sure=sure)

    async def _add(self, entry: StreamEntry) -> None:
        # Strictly after the one before, for what is after a place is all that follows it.
        before = self.log.positions[entry.partition]
        clock = max(self._now(), before.clock + 1)
        entry.place = Place(max(entry.place.offset, before.offset), clock)
        if self.log.add(entry):
            await self.tell(self.listeners(entry.key))

    async def missed(
        self, keys: Mapping[int, Sequence[str]], places: Mapping[int, Place], ends: Mapping[int, Place]
    ) -> AsyncIterator[Sequence[StreamEntry]]:
        """Windows that changed after places, up to the places `ends`, as they are now.

        Raises OutOfReach, Expired, and RequestError where parts are unavailable.
        """
        changed: dict[tuple[str, int], tuple[int, Place]] = {}
        async for entries in self.base.missed(keys, places, ends):
            for entry in entries:
                if entry.place.offset > places[entry.partition].offset:
                    changed[entry.key, self._of.opening(entry.time)] = entry.partition, entry.place
        for number, names in keys.items():
            for opened in self._final_after(places[number].clock):
                for key in names:
                    changed.setdefault((key, opened), (number, ends[number]))
        found: dict[int, list[StreamEntry]] = {number: [] for number in keys}
        for (key, opened), (number, place) in changed.items():
            parts = await self._windows.window(key, opened, self._consumed[number])
            if parts.newest:
                entry = self._entry(key, number, opened, parts, place, sure=False)
                if entry.value.final or place is not ends[number]:
                    found[number].append(entry)
        for entries in found.values():
            yield sorted(entries, key=lambda entry: entry.place)

    def _final_after(self, clock: int) -> list[int]:
        """The windows that time alone may have made final since a clock (ms), or shortly before."""
        since = max(clock - AHEAD_MS // 2 - self._settled, 0)
        opens = self._of.opens(self._of.opening(since), clock + 1)
        return [opened for opened in opens if self._of.closing(opened) > since]
