"""A hub over topics in memory, and clients of it."""

import asyncio

import msgspec
import pytest

from k2stream import instruments, topics
from k2stream.avro import registry, wire
from k2stream.service.stream.hub import Hub
from k2stream.service.stream.outlets import Outlet
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests.unit.service.memory import candle
from tests.unit.service.stream.broker import CANDLE_ID, Broker, Tables, encoded

NOW = 1_800_000_000_000


class Inbox(Outlet):
    """What a client got; it takes `room` messages, and more when `read` is called."""

    def __init__(self, room=10**9):
        super().__init__()
        self.messages, self.room = [], room
        self.ended = None
        self._arrived = asyncio.Event()

    def write(self, payload):
        assert not self.gone
        self.messages.append(msgspec.json.decode(payload))
        self.room -= 1
        self._arrived.set()
        if self.room <= 0:
            self.pause()

    def end(self, payload, code, reason):
        self.messages.append(msgspec.json.decode(payload))
        self.ended = (code, reason)
        self._arrived.set()
        self.lost()

    def read(self, room):
        self.room = room
        self.resume()

    async def until(self, condition, seconds=60):
        async with asyncio.timeout(seconds):
            while not condition(self.messages):
                self._arrived.clear()
                await self._arrived.wait()

    def of(self, member):
        return [each for each in self.messages if member in each]

    async def said(self, op):
        await self.until(lambda messages: any(each.get("op") == op for each in messages))
        return next(each for each in self.messages if each.get("op") == op)


@pytest.fixture
def listed():
    return instruments.load(make().feeds.instruments_file)


@pytest.fixture
def broker():
    registry.learn(CANDLE_ID, wire.declared("candle"))
    return Broker()


@pytest.fixture
def tables():
    return Tables()


@pytest.fixture
async def hub(broker, tables, listed):
    health = FeedHealth()
    health.ready = True
    given = make(simulated=True)
    tables.now, tables.settled = NOW, given.candles.settled_ms
    made = Hub(given, listed, tables, health, broker.connect, lambda: tables.now)
    yield made
    made.stop()


@pytest.fixture
def joined(hub):
    """Connects a client: a function from the room in its inbox to client and inbox."""

    def join(room=10**9):
        inbox = Inbox(room)
        return hub.client(inbox), inbox

    return join


@pytest.fixture
def first(listed):
    return listed[0]


@pytest.fixture
def revise(broker, tables, first):
    """Publishes a revision of a window, and puts it into the tables."""

    def publish(window, revision, final=False, of=first, partition=0):
        made = candle(of, "1m", window, revision=revision)._replace(final=final, raw_offset=window + revision)
        tables.put(made)
        broker.publish(made, partition)
        return made

    return publish


@pytest.fixture
def trade(broker, first):
    """Publishes a trade: raw offset and time (ms)."""

    def publish(offset, time, of=first):
        broker.append(topics.NORMALIZED, 0, of.key, encoded(of, str(offset), offset, time), time)

    return publish
