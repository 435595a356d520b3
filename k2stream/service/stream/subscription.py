"""One subscription: history first, then what is new, from the place that its client has reached."""

from __future__ import annotations

from collections.abc import Callable

from k2stream.history.reader import MissingTier
from k2stream.model.errors import Expired
from k2stream.service.stream import messages, tokens
from k2stream.service.stream.channels import candle_entry
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.history import PastCandles, join
from k2stream.service.stream.outlets import Gone, Outlet
from k2stream.service.stream.reached import ReachedPlaces
from k2stream.service.stream.records import OutOfReach
from k2stream.service.stream.source import StreamSource
from k2stream.service.stream.wanted import Wanted
from k2stream.web.query import RequestError

SLICE = 100
"""Entries that are sent before it is seen whether the client takes them."""


class StreamSubscription:
    """What one client gets of one source; `now` returns ms since 1970, `slow` ends one that fell behind."""

    def __init__(
        self,
        wanted: Wanted,
        source: StreamSource,
        history: PastCandles,
        outlet: Outlet,
        now: Callable[[], int],
        slow: Callable[[], None],
    ) -> None:
        self.wanted, self.source = wanted, source
        self._history, self._outlet, self._slow = history, outlet, slow
        self._prefix = messages.prefix(wanted.request.id)
        begin = now() if source.has_history else 0
        self._reached = ReachedPlaces(wanted.check, begin if wanted.since is None else wanted.since, now)
        self._least = 0  # ms; trades and events before are not delivered
        self._live = False

    @property
    def id(self) -> messages.Id:
        """The client's name for it."""
        return self.wanted.request.id

    @property
    def token(self) -> str:
        """The token of what was delivered; empty before anything was."""
        return self._reached.token

    async def run(self) -> None:
        """Deliver history, say so, and from then on what is new. Raises RequestError and Gone."""
        await self.source.ready()
        reached = self._reached
        if self.wanted.token is not None:
            await self._resume(self.wanted.token)
        else:
            await self._begin()
        missing = messages.missing(await self._deliver_history() if reached.key else ())
        self._outlet.write(messages.message("caught_up", id=self.id, resume=self.token, missing=missing))
        self._live = True
        self.source.listen(self.wanted.all_keys, self)
        self.flush()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._live = False
        self.source.leave(self.wanted.all_keys, self)

    def flush(self) -> None:
        """Send what is new, until the client takes no more."""
        if not self._live:
            return
        for number, keys in self.wanted.keys.items():
            if not self._outlet.takes_more():
                return
            news = self.source.news(keys, number, self._reached.places[number])
            if news is None:
                self._slow()
                return
            for entry in news:
                self._send(entry)
                if not self._outlet.takes_more():
                    return

    def _send(self, entry: StreamEntry) -> None:
        places = self._reached.places
        places[entry.partition] = entry.place
        if entry.time < self._least or self._reached.repeats(entry):
            return
        if not entry.sure:
            self._reached.ahead(entry.key, entry.time, entry.revision)
            self._reached.at(self._reached.key, self._reached.window)
        if len(places) > 1:
            token = tokens.places(places)
        else:
            token = entry.token = entry.token or tokens.places(places)
        self._write(entry, token)

    def _write(self, entry: StreamEntry, token: bytes) -> None:
        self._outlet.write(b"".join((self._prefix, self.source.text(entry), token, self._reached.suffix)))

    def _positions(self) -> dict[int, Place]:
        positions = self.source.log.positions
        return {number: positions[number] for number in self.wanted.keys}

    async def _begin(self) -> None:
        self._reached.of(self.source.identity)
        if self.wanted.since is None:
            self._reached.places = self._positions()
        elif self.source.has_history:
            self._reached.begin(self.wanted.all_keys[0], self._positions())
        else:
            await self._since(self.wanted.since)

    async def _resume(self, token: tokens.Token) -> None:
        self._reached.resume(token)
        self._least = 0 if self.source.has_history else self._reached.start
        try:
            await self.source.confirm(token.progress.log, token.places)
            self._reached.of(self.source.identity)
            await self._deliver_missed()
        except (Expired, OutOfReach):
            if not self.source.has_history:
                raise RequestError(
                    410,
                    "what was published since this token expired in the topic, or the topic was made anew: "
                    "subscribe with a time",
                ) from None
            self._reached.of(self.source.identity)
            self._reached.begin(self.wanted.all_keys[0], self._positions())
            self._outlet.write(messages.message("reread", id=self.id, start=self._reached.start))

    async def _since(self, since: int) -> None:
        self._least = since
        found = await self.source.since(since)
        self._reached.places = {number: found[number] for number in self.wanted.keys}
        try:
            await self._deliver_missed()
        except (Expired, OutOfReach):
            raise RequestError(410, f"what was published since {since} expired in the topic") from None

    async def _deliver_missed(self) -> None:
        """Deliver what was published after the places, and before the log."""
        log, reached = self.source.log, self._reached
        short = {
            number: place
            for number, place in reached.places.items()
            if not log.covers(self.wanted.keys[number], number, place)
        }
        if not short:
            return
        keys = {number: self.wanted.keys[number] for number in short}
        ends = {number: log.positions[number] for number in short}
        async for entries in self.source.missed(keys, short, ends):
            for at in range(0, len(entries), SLICE):
                for entry in filter(reached.includes, entries[at : at + SLICE]):
                    self._send(entry)
                await self._outlet.drained()
        reached.places.update(ends)

    def _catch_up(self) -> None:
        """Send what changed meanwhile of the windows that were delivered. Raises Gone if not all is known."""
        positions, log = self._positions(), self.source.log
        for number, keys in self.wanted.keys.items():
            if not log.covers(keys, number, self._reached.places[number]):
                self._slow()
                raise Gone  # nothing follows the last message, and nobody listens any more
            changed = log.after(keys, number, self._reached.places[number])
            for entry in filter(self._reached.includes, changed):
                self._send(entry)
            self._reached.places[number] = positions[number]

    async def _deliver_history(self) -> tuple[MissingTier, ...]:
        gone: tuple[MissingTier, ...] = ()
        reached = self._reached
        for key in self.wanted.all_keys:
            if key < reached.key:
                continue
            if key > reached.key:
                reached.at(key, reached.start - 1)
            while reached.window < tokens.COMPLETE:
                gone = await self._deliver_page(key) or gone
                await self._outlet.drained()
        self._catch_up()
        reached.at("", 0)
        return gone

    async def _deliver_page(self, key: str) -> tuple[MissingTier, ...]:
        reached, instrument = self._reached, self.wanted.instruments[key]
        after = reached.window
        found = await self._history.read(instrument, self.wanted.timeframe, after + 1)
        # From here on nothing is awaited: the log stands still.
        self._catch_up()
        held = self.source.log.windows(key)
        page = join(found, after, held)
        number = self.wanted.partition(key)
        for candle in page.candles:
            entry = held.get(candle.open_time)
            if entry is None or entry.value is not candle:
                entry = candle_entry(candle, number, reached.places[number])
            if candle.open_time in page.ahead or not entry.sure:
                reached.ahead(key, candle.open_time, candle.revision)
            reached.at(key, candle.open_time)
            self._write(entry, tokens.places(reached.places))
        if page.last:
            reached.at(key, tokens.COMPLETE)
        return found.missing
