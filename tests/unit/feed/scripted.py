"""An exchange of which a test says each word, and the feed that hears it."""

import asyncio
import json
from contextlib import asynccontextmanager

import msgspec
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from k2stream import exchanges, topics
from k2stream.feed import Feed, MemoryPublisher
from k2stream.model import clock
from k2stream.model.events import FeedEvent
from k2stream.model.instrument import Instrument
from k2stream.settings import make
from k2stream.web.health import FeedHealth


class Scripted:
    """A feed whose exchange runs `play(self, socket)` on each connection; `asked` is what it was sent."""

    def __init__(self, exchange, symbols, play):
        self.exchange, self.symbols, self._play = exchange, symbols, play
        self.asked, self.connections = [], 0
        self.publisher = MemoryPublisher()
        self.feed = self.running = None

    async def serve(self, socket):
        """One connection of the exchange."""
        self.connections += 1
        try:
            await self._play(self, socket)
            await socket.wait_closed()
        except ConnectionClosed:
            pass

    async def recv(self, socket):
        """What the feed asks for next."""
        self.asked.append(json.loads(await socket.recv()))
        return self.asked[-1]

    async def until(self, condition, seconds=60.0):
        """Wait for a condition, and fail at once when the feed dies."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert self.running
                assert not self.running.done(), self.running.result()
                await asyncio.sleep(0.002)

    @property
    def events(self):
        """The feed events so far."""
        records = self.publisher.topics.get(topics.FEED_EVENTS, [])
        return [msgspec.json.decode(record.value, type=FeedEvent) for record in records]

    def told(self, kind):
        """What events of a kind say: symbol and detail."""
        return [(event.symbol, event.detail) for event in self.events if event.kind == kind]

    def healthy(self, symbol, start=None, end=None):
        """`feed_healthy` of a symbol over a span, µs; at this moment without one."""
        health = FeedHealth()
        health.ready = True
        for event in self.events:
            health.add(event)
        now = clock.now_us()
        return health.checker(self.exchange, symbol)(start or now, end or now + 1)


@asynccontextmanager
async def scripted(exchange, symbols, play, *, publisher=None, pending_bytes=1 << 25, up_until=0, **settings):
    """A running Scripted."""
    made = Scripted(exchange, symbols, play)
    made.publisher = publisher or made.publisher
    async with serve(made.serve, "127.0.0.1", 0, ping_interval=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limits = {"reconnect_base_seconds": 0.01, "reconnect_cap_seconds": 0.05, **settings}
        chosen = make(**{f"{exchange}_ws_url": url}, **limits)
        spelled = [Instrument(exchange, symbol, f"{number}/X") for number, symbol in enumerate(symbols)]
        made.feed = Feed(
            exchanges.get(exchange),
            spelled,
            made.publisher,
            chosen.feeds,
            1,
            pending_bytes=pending_bytes,
        )
        made.feed.up_until |= dict.fromkeys(symbols, up_until)
        made.running = asyncio.create_task(made.feed.run())
        try:
            yield made
        finally:
            await made.feed.stop()
            await asyncio.gather(made.running, return_exceptions=True)
