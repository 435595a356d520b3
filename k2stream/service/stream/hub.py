"""All streams of a worker: the topics that are followed, the clients, and what is done regularly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from k2stream import topics
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.instrument import Instruments
from k2stream.service.overview import Candles
from k2stream.service.stream import messages
from k2stream.service.stream.channels import CandleChannel, Channel, HealthChannel, TradeChannel
from k2stream.service.stream.client import StreamClient
from k2stream.service.stream.follower import Follower
from k2stream.service.stream.history import PastCandles
from k2stream.service.stream.outlets import Outlet
from k2stream.service.stream.records import Connect
from k2stream.service.stream.source import StreamSource
from k2stream.service.stream.wanted import Wanted
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth
from k2stream.web.query import RequestError

TICK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
SLOW_SECONDS = 10.0
"""A client that has taken nothing for this long, of what waits for it, is dropped."""

IDLE_SECONDS = 60.0
"""A topic that nobody has listened to for this long is not followed any more."""


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
        self._followers: dict[str, Follower] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._idle_since: dict[str, float] = {}
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
        if not wanted.timeframe.is_stored:
            raise RequestError(400, "only stored timeframes are pushed", timeframes=list(TIMEFRAMES))
        return self._follower(CandleChannel(wanted.timeframe.base, self._health))

    def trades(self) -> StreamSource:
        """All canonical trades, for whoever listens to them; their topic is followed from now on."""
        self._begin()
        return self._follower(TradeChannel())

    def stop(self, reason: str = "stopping") -> None:
        """End all connections, and follow nothing more."""
        for client in list(self.clients):
            client.end(reason)
        for task in self._following.values():
            task.cancel()
        self._following.clear()
        self._followers.clear()
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _begin(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def _follower(self, channel: Channel) -> Follower:
        name = channel.topic
        self._idle_since.pop(name, None)
        if name not in self._followers:
            partitions = 1 if name == topics.FEED_EVENTS else self.kafka.normalized_partitions
            made = Follower(channel, partitions, self._connect, self.now)
            made.broken = lambda: self._end(made)
            self._followers[name] = made
            self._following[name] = asyncio.get_running_loop().create_task(made.run())
        return self._followers[name]

    def _end(self, follower: Follower) -> None:
        """A topic cannot be followed from where it was: its clients come again with their tokens."""
        for client in list(self.clients):
            if client.reads(follower):
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
            self._rest(now)

    def _rest(self, now: float) -> None:
        """Follow no longer what nobody listens to."""
        for name, follower in list(self._followers.items()):
            if follower.listened or any(client.reads(follower) for client in self.clients):
                self._idle_since.pop(name, None)
            elif now - self._idle_since.setdefault(name, now) > IDLE_SECONDS:
                self._following.pop(name).cancel()
                del self._followers[name], self._idle_since[name]
