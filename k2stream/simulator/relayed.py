"""Recorded trades of an exchange, sent again over its own protocol at any speed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple

from websockets.exceptions import ConnectionClosed

from k2stream.model.instrument import Instrument
from k2stream.simulator import protocols
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Market
from k2stream.simulator.protocol import Relay
from k2stream.simulator.venue import SimulatedVenue
from k2stream.simulator.wire import Subscriber

TICK_SECONDS = 0.01
MOST_AT_ONCE = 500
SLOW_SECONDS = 5.0
"""How long a client that does not read holds up the others."""

SETTLE_SECONDS = 1.0
"""After the last subscription that comes before the first trade: so that none misses it."""


class Recorded(NamedTuple):
    """A trade as it was ingested, and when it was received (µs since 1970)."""

    symbol: str
    body: bytes
    received: int


class RelayedVenue(SimulatedVenue):
    """An exchange that sends recorded trades, from when its first client has subscribed."""

    def __init__(
        self, name: str, relay: Relay, instruments: Sequence[Instrument], now_us: Callable[[], int]
    ) -> None:
        protocol = protocols.for_exchange(name)
        dialect = protocol.dialect(instruments, Denials(lambda kind, symbol: None), **protocol.ages)
        market = Market(name, instruments, 1.0, 0, now_us(), protocol.style)  # never asked for orders
        super().__init__(protocol, dialect, market, [item.symbol for item in instruments], 0, now_us)
        self._relay = relay
        self._subscribed = asyncio.Event()

    async def ready(self) -> None:
        """Return when clients have subscribed, and have been quiet for a second since."""
        await self._subscribed.wait()
        before = -1
        while before != self.counts.received_messages:
            before = self.counts.received_messages
            await self._kept(SETTLE_SECONDS)

    async def play(self, trades: AsyncIterator[Recorded], speed: float) -> int:
        """Send ascending trades with their distances in time divided by `speed`; returns how many."""
        started, first, sent, waiting = self._now_us(), -1, 0, 0
        due: defaultdict[str, list[bytes]] = defaultdict(list)
        async with aclosing(trades):  # type: ignore[type-var]
            async for trade in trades:
                first = trade.received if first < 0 else first
                wait = started + int((trade.received - first) / speed) - self._now_us()
                if wait > 0 or waiting >= MOST_AT_ONCE:
                    await self._flush(due)
                    await self._kept(wait / 1e6)
                    waiting = 0
                due[trade.symbol].append(trade.body)
                sent, waiting = sent + 1, waiting + 1
        await self._flush(due)
        return sent

    async def idle(self) -> None:
        """Keep connections alive until cancelled."""
        while True:
            await self._kept(1.0)

    def tick(self) -> None:
        """Send heartbeats and pings that are due."""
        now_us = self._now_us()
        for client in self.clients:
            self._send(client, self._dialect.heartbeats(client, now_us), now_us)
            self._keep(client, now_us)

    async def _flush(self, due: defaultdict[str, list[bytes]]) -> None:
        now_us = self._now_us()
        for symbol, bodies in due.items():
            self.counts.generated_trades += len(bodies)
            for client in self.clients:
                messages = self._relay(client, symbol, bodies, now_us)
                self.counts.sent_trades += sum(message.trades for message in messages)
                self._send(client, messages, now_us)
        due.clear()
        for client in list(self.clients):  # at any speed, no faster than clients read
            with suppress(TimeoutError, ConnectionClosed):
                await asyncio.wait_for(client.socket.drain(), SLOW_SECONDS)

    async def _kept(self, seconds: float) -> None:
        end = self._now_us() + int(seconds * 1e6)
        while True:
            self.tick()
            left = (end - self._now_us()) / 1e6
            await asyncio.sleep(min(max(left, 0), TICK_SECONDS))
            if left <= TICK_SECONDS:
                return

    def _answer(self, client: Subscriber, text: bytes) -> None:
        super()._answer(client, text)
        if any(client.subscribed.values()):
            self._subscribed.set()
