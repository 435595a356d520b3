"""One at a time compares what is held with what is told and publishes the difference, whoever fetches.

Turns are taken in the order of the feed events: all that fetch write a claim there and read on to it. A turn
is over with its release, or LEASE_SECONDS after others have read the claim: clocks may differ, durations not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from k2stream import topics
from k2stream.backfill.output import Output
from k2stream.exchanges.rest.spec import Past
from k2stream.kafka.reader import Reader
from k2stream.model import clock
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import Settings

LEASE_SECONDS = 60.0
"""How long a claim counts: by then its holder has published, or is gone."""

OLD_US = 600_000_000
"""A claim older than this is over, by clocks that differ by less."""

AGAIN_SECONDS = 0.2

_EVENT = msgspec.json.Decoder(FeedEvent)


@dataclass(slots=True)
class Claims:
    """Who has claimed a turn and not released it, in order. Pure."""

    _seen: dict[str, float] = field(default_factory=dict)

    def take(self, events: Iterable[FeedEvent], now: float, now_us: int) -> None:
        """Events of one exchange that were read at `now` (seconds, monotonic), `now_us` by our wall clock."""
        for event in events:
            if event.kind in (EventKind.CLAIMED, EventKind.RELEASED):
                self._seen.pop(event.connection, None)
            if event.kind is EventKind.CLAIMED and event.time > now_us - OLD_US:
                self._seen[event.connection] = now

    def holder(self, now: float) -> str:
        """The connection whose turn it is, "" for none."""
        return next((name for name, seen in self._seen.items() if now < seen + LEASE_SECONDS), "")


def _decoded(value: bytes) -> FeedEvent | None:
    with suppress(msgspec.DecodeError):
        return _EVENT.decode(value)
    return None


class Turns:
    """The turns of one output."""

    def __init__(
        self, exchange: str, output: Output, settings: Settings, now_us: Callable[[], int] = clock.now_us
    ) -> None:
        self._exchange, self._output, self._settings, self._now_us = exchange, output, settings, now_us
        self._next: int | None = None
        self._claims = Claims()

    async def publish(self, compare: Callable[[], Awaitable[Sequence[Past]]]) -> int:
        """Publish what a comparison says is missing; how many that were.

        It is made again when it took so long that others may have had their turn since: a process may freeze.
        """
        while True:
            async with self._take() as until:
                missing = await compare()
                if time.monotonic() < until:
                    await self._output.trades(missing)
                    return len(missing)

    @asynccontextmanager
    async def _take(self) -> AsyncIterator[float]:
        """Wait for a turn; until when it is this one's, seconds of the monotonic clock."""
        claimed = await self._claim()
        try:
            while await self._holder() != self._output.connection:
                await asyncio.sleep(AGAIN_SECONDS)
                if time.monotonic() > claimed + LEASE_SECONDS / 2:
                    claimed = await self._claim()
            yield claimed + LEASE_SECONDS / 2
        finally:
            await self._write(EventKind.RELEASED)

    async def _holder(self) -> str:
        self._claims.take(await self.events(), time.monotonic(), self._now_us())
        return self._claims.holder(time.monotonic())

    async def events(self) -> list[FeedEvent]:
        """The exchange's events that may count, and were not read before."""
        async with Reader(self._settings.kafka) as reader:
            if self._next is None:
                since = (self._now_us() - 2 * OLD_US) // 1000
                begin, end = (await reader.since(topics.FEED_EVENTS, 1, since))[0]
            else:
                begin, end = self._next, (await reader.held(topics.FEED_EVENTS, 1))[0][1]
            stretches = {0: (begin, end)}
            found = [record async for record in reader.read(topics.FEED_EVENTS, stretches)]
        self._next = max(end, self._next or 0)
        values = [record.value for record in found if record.key == self._exchange.encode()]
        return [event for value in values if (event := _decoded(value))]

    async def _claim(self) -> float:
        """When it was begun to be written, seconds of the monotonic clock."""
        begun = time.monotonic()
        await self._write(EventKind.CLAIMED)
        return begun

    async def _write(self, kind: EventKind) -> None:
        connection, simulated = self._output.connection, self._settings.feeds.simulated
        await self._output.event(
            FeedEvent(
                kind=kind,
                exchange=self._exchange,
                time=self._now_us(),
                connection=connection,
                simulated=simulated,
            )
        )
