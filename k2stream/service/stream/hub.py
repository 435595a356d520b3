"""All streams of a worker: the topics that are followed, the clients, and what is done regularly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from k2stream import topics
from k2stream.model.instrument import Instruments
from k2stream.service.overview import Candles
from k2stream.service.stream import messages
from k2stream.service.stream.channels import CandleChannel, Channel, HealthChannel, TradeChannel
from k2stream.service.stream.client import StreamClient
from k2stream.service.stream.folded import FoldedFollower
from k2stream.service.stream.folded_windows import FoldedWindows
from k2stream.service.stream.followed import FollowedSources, Following
from k2stream.service.stream.follower import Follower
from k2stream.service.stream.history import PastCandles
from k2stream.service.stream.outlets import Outlet
from k2stream.service.stream.records import Connect
from k2stream.service.stream.source import StreamSource
from k2stream.service.stream.wanted import Wanted
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth

TICK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
SLOW_SECONDS = 10.0
"""A client that has taken nothing for this long, of what waits for it, is dropped."""


class Hub:
    """Follows topics for its clients; nothing is read while there are none."""

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        candles: Candles,
        health: FeedHealth,
        connect: Connect,
        now: Callable[[], int],
    ) -> None:
        self.instruments, self.kafka, self.now = instruments, settings.kafka, now
        self.simulated = settings.feeds.simulated
        self.history = PastCandles(candles)
        self._health, self._connect = health, connect
        self.clients: set[StreamClient] = set()
        self._settled = settings.candles.settled_ms
        self._sources = FollowedSources(self._end)
        self._ticking: asyncio.Task[None] | None = None
        self._beaten = 0.0

    def client(self, outlet: Outlet) -> StreamClient:
        """A new connection; its first message is sent."""
        made = StreamClient(self, outlet)
        self.clients.add(made)
        outlet.write(messages.message("hello", simulated=self.simulated))
        self._begin()
        return made

    def forget(self, client: StreamClient) -> None:
        """A connection is gone."""
        self.clients.discard(client)

    def source(self, wanted: Wanted) -> StreamSource:
        """What a subscription reads from; its topic is followed from now on."""
        match wanted.request.channel:
            case "trades":
                return self._follower(TradeChannel())
            case "health":
                return self._follower(HealthChannel(self.instruments))
        base = self._follower(CandleChannel(wanted.timeframe.base, self._health))
        return base if wanted.timeframe.is_stored else self._folded(base, wanted)

    def trades(self) -> StreamSource:
        """All canonical trades, for whoever listens to them; their topic is followed from now on."""
        self._begin()
        return self._follower(TradeChannel())

    def stop(self, reason: str = "stopping") -> None:
        """End all connections, and follow nothing more."""
        for client in list(self.clients):
            client.end(reason)
        self._sources.stop()
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _begin(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def _follower(self, channel: Channel) -> Follower:
        partitions = 1 if channel.topic == topics.FEED_EVENTS else self.kafka.normalized_partitions
        return self._sources.get(
            channel.topic, lambda: Follower(channel, partitions, self._connect, self.now)
        )

    def _folded(self, base: Follower, wanted: Wanted) -> FoldedFollower:
        of = wanted.timeframe
        return self._sources.get(
            (of.name, of.zone.key, *wanted.all_keys),
            lambda: FoldedFollower(
                base,
                of,
                wanted.keys,
                FoldedWindows(of, wanted.instruments, self.history, base.log.windows),
                self._health,
                self._settled,
                self.now,
            ),
        )

    def _end(self, broken: Following) -> None:
        """A source cannot go on from where it was: its clients come again with their tokens."""
        folded = self._sources.drop(
            lambda source: isinstance(source, FoldedFollower) and broken in (source, source.base)
        )
        for client in list(self.clients):
            if any(client.reads(source) for source in (broken, *folded)):
                client.end("moving")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for client in list(self.clients):
                blocked = client.outlet.blocked_since
                if blocked is not None and now - blocked > SLOW_SECONDS:
                    client.end("slow")
            if now - self._beaten >= HEARTBEAT_SECONDS:
                self._beaten = now
                beat = messages.message("heartbeat", time=self.now())
                for client in self.clients:
                    if not client.outlet.paused:
                        client.outlet.write(beat)
            self._sources.rest(now, self._used)

    def _used(self, source: Following) -> bool:
        return any(client.reads(source) for client in self.clients)
