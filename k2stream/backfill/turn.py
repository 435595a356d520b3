"""Lets one process at a time compare fetched trades with stored ones and publish the difference.

Each process writes a claim to the feed-events topic; the order of claims is the order of turns. A turn ends
when it is released, or LEASE_SECONDS after another process has read the claim: clocks may differ between
processes, durations do not.
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
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import Settings

LEASE_SECONDS = 60.0
"""How long a claim is valid: by then its holder has published, or is gone."""

OLD_US = 600_000_000
"""Age, µs, after which a claim is ignored; clocks are assumed to differ by less."""

AGAIN_SECONDS = 0.2

_EVENT = msgspec.json.Decoder(FeedEvent)


@dataclass(slots=True)
class Claims:
    """The claims that are not released, in order. Pure."""

    _seen: dict[str, float] = field(default_factory=dict)

    def take(self, events: Iterable[FeedEvent], now: float, now_us: int) -> None:
        """Add events of one exchange, read at `now` (monotonic seconds) and `now_us` (wall clock, µs)."""
        for event in events:
            if event.kind in (EventKind.CLAIMED, EventKind.RELEASED):
                self._seen.pop(event.connection, None)
            if event.kind is EventKind.CLAIMED and event.time > now_us - OLD_US:
                self._seen[event.connection] = now

    def holder(self, now: float) -> str:
        """Return the connection whose turn it is at `now` (monotonic seconds), "" for none."""
        return next((name for name, seen in self._seen.items() if now < seen + LEASE_SECONDS), "")


def _decoded(value: bytes) -> FeedEvent | None:
    with suppress(*UNREADABLE):
        return _EVENT.decode(value)
    return None


class Turns:
    """Takes turns for one output."""

    def __init__(
        self, exchange: str, output: Output, settings: Settings, now_us: Callable[[], int] = clock.now_us
    ) -> None:
        self._exchange, self._output, self._settings, self._now_us = exchange, output, settings, now_us
        self._next: int | None = None
        self._claims = Claims()

    async def publish(self, compare: Callable[[], Awaitable[Sequence[Past]]]) -> int:
        """Publish the missing trades that `compare` returns, in a turn; returns their number.

        The comparison is repeated if it took so long that others may have had a turn: a process may freeze.
        """
        while True:
            async with self._take() as until:
                missing = await compare()
                if time.monotonic() < until:
                    await self._output.trades(missing)
                    return len(missing)

    @asynccontextmanager
    async def _take(self) -> AsyncIterator[float]:
        """Wait for a turn; yields the monotonic time, in seconds, until which it may be used."""
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
        """Read the exchange's events since the last call, at first those of the last 2 * OLD_US."""
        async with Reader(self._settings.kafka) as reader:
            if self._next is None:
                since = (self._now_us() - 2 * OLD_US) // 1000
                begin, end = (await reader.since(topics.FEED_EVENTS, 1, since))[0]
            else:
                begin, end = self._next, (await reader.retained(topics.FEED_EVENTS, 1))[0][1]
            stretches = {0: (begin, end)}
            found = [record async for record in reader.read(topics.FEED_EVENTS, stretches)]
        self._next = max(end, self._next or 0)
        values = [record.value for record in found if record.key == self._exchange.encode()]
        return [event for value in values if (event := _decoded(value))]

    async def _claim(self) -> float:
        """Write a claim; returns the monotonic time, in seconds, at which writing began."""
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
