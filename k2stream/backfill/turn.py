"""One at a time compares what is held with what is told and publishes the difference, whoever fetches.

Turns are taken in the order of the feed events: all that fetch write a claim there and read on to it. A turn
is over with its release, or after LEASE_US.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec

from k2stream import clock, topics
from k2stream.backfill.output import Output
from k2stream.events import EventKind, FeedEvent
from k2stream.reading import Reader
from k2stream.settings import Settings

LEASE_US = 60_000_000
"""How long a claim counts: by then its holder has published, or is gone."""

AGAIN_SECONDS = 0.2

_EVENT = msgspec.json.Decoder(FeedEvent)


def holder(events: Iterable[FeedEvent], now_us: int) -> str:
    """The connection whose turn it is after these events of one exchange, "" for none."""
    claims: dict[str, int] = {}
    for event in events:
        if event.kind in (EventKind.CLAIMED, EventKind.RELEASED):
            claims.pop(event.connection, None)
        if event.kind is EventKind.CLAIMED:
            claims[event.connection] = event.time
    return next((name for name, time in claims.items() if time > now_us - LEASE_US), "")


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

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn; what is done in it must take less than half of LEASE_US."""
        claimed = await self._write(EventKind.CLAIMED)
        try:
            while holder(await self.events(), self._now_us()) != self._output.connection:
                await asyncio.sleep(AGAIN_SECONDS)
                if self._now_us() > claimed + LEASE_US // 2:
                    claimed = await self._write(EventKind.CLAIMED)
            yield
        finally:
            await self._write(EventKind.RELEASED)

    async def events(self) -> list[FeedEvent]:
        """The exchange's events that may count."""
        begin = (self._now_us() - 2 * LEASE_US) // 1000
        async with Reader(self._settings) as reader:
            stretches = await reader.since(topics.FEED_EVENTS, 1, begin)
            found = [record async for record in reader.read(topics.FEED_EVENTS, stretches)]
        values = [record.value for record in found if record.key == self._exchange.encode()]
        return [event for value in values if (event := _decoded(value))]

    async def _write(self, kind: EventKind) -> int:
        time = self._now_us()
        connection, simulated = self._output.connection, self._settings.simulated
        await self._output.event(
            FeedEvent(
                kind=kind, exchange=self._exchange, time=time, connection=connection, simulated=simulated
            )
        )
        return time
