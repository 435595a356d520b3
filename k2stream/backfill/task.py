"""The dependencies of filling a gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from k2stream.backfill.client import RestClient
from k2stream.backfill.output import Output
from k2stream.backfill.turn import Turns
from k2stream.exchanges.rest.spec import Past
from k2stream.exchanges.spec import Exchange
from k2stream.feed.batch import Heard
from k2stream.model import clock
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """Source and destination of one exchange's trades. `now_us` is the clock of receive times, in µs."""

    exchange: Exchange
    symbols: Sequence[str]
    client: RestClient
    output: Output
    settings: Settings
    settled: Callable[[], Awaitable[None]]
    """Returns once everything that the feed has received is durable."""

    now_us: Callable[[], int] = clock.now_us
    turns: Turns | None = None
    """None if nobody else fetches."""

    heard: Callable[[str], Heard | None] = lambda symbol: None
    """Returns the last trade of a symbol that the feed has brought, None if there was none."""

    numberings: Mapping[str, str] = field(default_factory=dict)
    """The numbering of each symbol's trades, as in TradeColumns, where it is not the empty one."""

    @property
    def margin_us(self) -> int:
        """The time, µs, after which REST is expected to return a trade."""
        return self.settings.feeds.gap_fill_margin_us

    async def settle(self, time_us: int, margins: int) -> None:
        """Wait until `margins` margins after a past time (µs), never longer even if our clock is wrong."""
        margin = self.margin_us
        await asyncio.sleep(min(time_us + margins * margin - self.now_us(), margins * margin) / 1e6)

    def patience(self, time_us: int, patience_us: int) -> Callable[[], bool]:
        """Return a function: whether `patience_us` have passed since `time_us`, or since this call."""
        begun = time.monotonic()
        return lambda: self.now_us() > time_us + patience_us or (time.monotonic() - begun) * 1e6 > patience_us

    async def publish(self, compare: Callable[[], Awaitable[Sequence[Past]]]) -> int:
        """Publish the missing trades that `compare` returns, in a turn if needed; returns their number."""
        if self.turns:
            return await self.turns.publish(compare)
        missing = await compare()
        await self.output.trades(missing)
        return len(missing)

    async def done(self, event: FeedEvent, symbol: str, since: int, count: int, remark: str) -> None:
        """Publish the BACKFILLED event that answers an event for one symbol."""
        answer = FeedEvent(
            kind=EventKind.BACKFILLED,
            exchange=self.exchange.name,
            time=self.now_us(),
            symbol=symbol,
            detail=remark,
            connection=event.connection,
            first_missing=event.first_missing,
            last_missing=event.last_missing,
            numbering=event.numbering,
            epoch=event.epoch,
            count=count,
            since=since,
            simulated=self.settings.feeds.simulated,
        )
        await self.output.event(answer)
