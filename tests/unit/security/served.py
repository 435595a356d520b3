"""The service in a thread of its own, so that ordinary tests talk to it over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from k2stream import instruments
from k2stream.service.application import create
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.service.stream.hub import Hub
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests.unit.service.memory import InMemory, TradesInMemory, candle
from tests.unit.service.stream.broker import Broker

LISTED = instruments.load(make().feeds.instruments_file)
MINUTE = 60_000


class Service:
    """A running service: its port, what it stores, and its open connections."""

    def __init__(self) -> None:
        self.candles, self.trades, self.health = InMemory(), TradesInMemory(), FeedHealth()
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self.task: asyncio.Task[None] | None = None
        self._server: Server | None = None

    @property
    def connections(self) -> int:
        """How many there are."""
        assert self._server is not None
        return len(self._server._server.server_state.connections)

    async def run(self, started: threading.Event, pushed: bool, **settings: Any) -> None:
        """Serve until cancelled; unless `pushed`, new trades are looked up in the store."""
        chosen, health = make(simulated=True, **settings), self.health
        health.ready = True
        hub = Hub(chosen, LISTED, self.candles, health, Broker().connect, lambda: 1_800_000_000_000)
        sources = Sources(chosen, LISTED, self.candles, health, lambda: True, trades=self.trades)
        self._server = Server(create(sources, hub if pushed else None), "127.0.0.1", 0, hub.stop)
        self._server.bind()
        self.port = self._server.port
        started.set()
        try:
            await self._server.run()
        finally:
            hub.stop()


@contextmanager
def serving(*, pushed: bool = True, **settings: Any) -> Iterator[Service]:
    """A service with half an hour of candles of every symbol."""
    made = Service()
    for item in LISTED:
        made.candles.answers[item.key, "1m"] = [candle(item, "1m", MINUTE * at) for at in range(1, 30)]
    started = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(made.loop)
        made.task = made.loop.create_task(made.run(started, pushed, **settings))
        with suppress(asyncio.CancelledError):
            made.loop.run_until_complete(made.task)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield made
    finally:
        assert made.task is not None
        made.loop.call_soon_threadsafe(made.task.cancel)
        thread.join(20)
