"""Arrival is when bytes came, not when they were read; nothing is known of the time when nobody read."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from k2stream import exchanges, topics
from k2stream.feed import Feed, MemoryPublisher
from k2stream.feed import socket as socket_module
from k2stream.model import clock
from k2stream.model.events import EventKind
from k2stream.model.instrument import Instrument
from k2stream.settings import make
from tests.unit.feed.scripted import scripted

PAIR = "XBT/USD"
SUBSCRIBED = json.dumps({"event": "subscriptionStatus", "status": "subscribed", "pair": PAIR})


def trade():
    now = clock.now_us()
    return json.dumps([0, [["1.5", "0.1", f"{now // 10**6}.{now % 10**6:06d}", "b", "l", ""]], "trade", PAIR])


def happened(record):
    seconds, _, micros = record["time"].partition(".")
    return int(seconds) * 10**6 + int(micros)


class Gate(MemoryPublisher):
    """A Kafka that is away while it is not open."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, columns):
        await self.open.wait()
        await super().publish(columns)

    @property
    def trades(self):
        return [json.loads(record.value) for record in self.topics.get(topics.raw("kraken"), [])]


@pytest.mark.parametrize("queue", [1024, 4], ids=["queued by us", "left in the socket"])
async def test_an_outage_behind_frames_that_waited_for_kafka_is_told_from_its_beginning(monkeypatch, queue):
    monkeypatch.setattr(socket_module, "QUEUE_FRAMES", queue)
    publisher, dropped = Gate(), []

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(SUBSCRIBED)
        await socket.send(trade())
        if exchange.connections == 1:
            await exchange.until(lambda: publisher.trades)
            publisher.open.clear()
            for _ in range(100):
                await socket.send(trade())
                await asyncio.sleep(0.001)
            await exchange.until(lambda: not exchange.feed._room.is_set())
            dropped.append(clock.now_us())
            socket.transport.close()

    async with scripted("kraken", [PAIR], play, publisher=publisher, pending_bytes=5000) as exchange:
        await exchange.until(lambda: dropped)
        await asyncio.sleep(1.0)  # the outage
        back = clock.now_us()
        publisher.open.set()
        await exchange.until(lambda: len(publisher.trades) == 102)
        await exchange.until(lambda: sum(event.kind == "connected" for event in exchange.events) == 2)
    received = [record["k2_recv"] for record in publisher.trades]
    lost, connected = [event for event in exchange.events if event.kind != "subscribed"][1:]
    assert connected.kind is EventKind.CONNECTED
    assert connected.since <= dropped[0] < back <= connected.time
    assert lost.since == connected.since
    for record in publisher.trades[:-1]:
        arrived = record.get("k2_unread", record["k2_recv"])
        assert arrived <= dropped[0]
        if "k2_unread" not in record:
            assert 0 <= arrived - happened(record) < 500_000
    assert max(received[:-1]) <= dropped[0] or queue == 4
    assert exchange.healthy(PAIR, dropped[0], back) is False


@pytest.mark.parametrize("queue", [1024, 4], ids=["queued by us", "left in the socket"])
async def test_settled_is_when_all_that_was_sent_is_durable_also_what_nobody_had_read(monkeypatch, queue):
    monkeypatch.setattr(socket_module, "QUEUE_FRAMES", queue)
    publisher = Gate()

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(SUBSCRIBED)
        await exchange.until(lambda: exchange.feed.status.connected)
        publisher.open.clear()
        for _ in range(300):
            await socket.send(trade())
        await exchange.until(lambda: not exchange.feed._room.is_set())
        sent.set()
        while True:
            await socket.send('{"event":"heartbeat"}')
            await asyncio.sleep(0.05)

    sent = asyncio.Event()
    async with scripted("kraken", [PAIR], play, publisher=publisher, pending_bytes=5000) as exchange:
        await sent.wait()
        settled = asyncio.create_task(exchange.feed.settled())
        await asyncio.sleep(0)
        publisher.open.set()
        await asyncio.wait_for(settled, 60)
        assert len(publisher.trades) == 300


async def test_a_feed_that_catches_up_is_known_to_be_up_again(monkeypatch):
    monkeypatch.setattr(socket_module, "QUEUE_FRAMES", 4)
    publisher, caught_up = Gate(), []

    async def play(exchange, socket):
        await exchange.recv(socket)
        await socket.send(SUBSCRIBED)
        if exchange.connections > 1:
            return
        publisher.open.clear()
        for _ in range(100):
            await socket.send(trade())
        await exchange.until(lambda: exchange.feed._socket.behind)
        await socket.send(trade())  # all before it may have arrived at once, before reading was paused
        publisher.open.set()
        await exchange.until(lambda: len(publisher.trades) == 101)
        while not publisher.trades or "k2_unread" in publisher.trades[-1]:
            await socket.send(trade())
            await asyncio.sleep(0.005)
        caught_up.append(clock.now_us())
        await socket.send(trade())
        await asyncio.sleep(0.05)
        socket.transport.close()

    async with scripted("kraken", [PAIR], play, publisher=publisher, pending_bytes=5000) as exchange:
        await exchange.until(lambda: sum(event.kind == "connected" for event in exchange.events) == 2)
    assert exchange.events[-1].since >= caught_up[0]
    unread = ["k2_unread" in record for record in publisher.trades]
    assert not all(unread[unread.index(True) :])


@contextmanager
def elsewhere(play):
    """An exchange in a thread of its own, which goes on while the feed's event loop stands still."""
    with serve(play, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


async def test_an_outage_behind_frames_that_waited_for_a_frozen_worker_is_told_from_its_beginning():
    frozen, dropped, connections = threading.Event(), [], []

    def play(socket):
        connections.append(socket)
        try:
            socket.recv()
            socket.send(SUBSCRIBED)
            if len(connections) == 1:
                assert frozen.wait(10)
                socket.send(trade())
                dropped.append(clock.now_us())
                socket.close_socket()
            else:
                socket.recv()
        except ConnectionClosed:
            pass

    with elsewhere(play) as url:
        settings = make(
            kraken_ws_url=url,
            silence_seconds=3.0,
            reconnect_base_seconds=0.01,
            reconnect_cap_seconds=0.05,
        )
        publisher = Gate()
        feed = Feed(
            exchanges.get("kraken"), [Instrument("kraken", PAIR, "BTC/USD")], publisher, settings.feeds, 1
        )
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(60):
            while not feed.status.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            frozen.set()
            time.sleep(1.0)  # noqa: ASYNC251 - as SIGSTOP does
            thawed = clock.now_us()
            while feed.status.reconnects == 0 or not feed.status.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            await feed.settled()
        await feed.stop()
        await running
    (record,) = publisher.trades
    (_, _, connected) = [json.loads(record.value) for record in publisher.topics[topics.FEED_EVENTS]]
    assert connected["kind"] == "connected"
    assert connected["since"] <= dropped[0] < thawed - 300_000
    assert record["k2_unread"] <= dropped[0] < record["k2_recv"]
