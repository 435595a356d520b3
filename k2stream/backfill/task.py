"""What filling a gap needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from k2stream import clock
from k2stream.backfill.client import Client
from k2stream.backfill.output import Output
from k2stream.events import EventKind, FeedEvent
from k2stream.exchanges.spec import Exchange
from k2stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """One exchange's: where trades come from and where they go to. `now_us` is the clock of receive times."""

    exchange: Exchange
    symbols: Sequence[str]
    client: Client
    output: Output
    settings: Settings
    settled: Callable[[], Awaitable[None]]
    """Returns once all that the feed has received is durable."""

    now_us: Callable[[], int] = clock.now_us
    turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """A turn to compare and publish: see Turns."""

    @property
    def margin_us(self) -> int:
        """How long REST may take to tell a trade."""
        return int(self.settings.gap_fill_margin_seconds * 1e6)

    async def until(self, time_us: int) -> None:
        """Wait for a moment."""
        await asyncio.sleep((time_us - self.now_us()) / 1e6)

    async def done(self, event: FeedEvent, symbol: str, since: int, count: int, note: str) -> None:
        """Answer an event for a symbol."""
        answer = FeedEvent(
            kind=EventKind.BACKFILLED,
            exchange=self.exchange.name,
            time=self.now_us(),
            symbol=symbol,
            detail=note,
            connection=event.connection,
            first_missing=event.first_missing,
            last_missing=event.last_missing,
            numbering=event.numbering,
            epoch=event.epoch,
            count=count,
            since=since,
            simulated=self.settings.simulated,
        )
        await self.output.event(answer)
