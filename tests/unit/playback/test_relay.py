"""Recorded trades, sent again over each exchange's own protocol, are ingested as the same trades."""

import asyncio
from itertools import groupby
from typing import Any

import pytest
from websockets.asyncio.client import connect

from k2stream import instruments
from k2stream.batch import TP, RecordBatch
from k2stream.exchanges import BUILT_IN, raw
from k2stream.exchanges.spec import Kind
from k2stream.model import clock
from k2stream.playback.order import body, placed
from k2stream.settings import make
from k2stream.simulator import protocols
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Market
from k2stream.simulator.relayed import RelayedVenue
from k2stream.simulator.wire import Subscriber

NO_SOCKET: Any = None
START_US = 1_790_000_000_000_000


@pytest.fixture(
    params=[name for name in BUILT_IN if instruments.load(make().feeds.instruments_file).for_exchange(name)]
)
def exchange(request):
    return BUILT_IN[request.param]


@pytest.fixture
def listed(exchange):
    return instruments.load(make().feeds.instruments_file).for_exchange(exchange.name)


@pytest.fixture
def ingested(exchange, listed):
    """Raw records of two simulated seconds, in the order of the frames that they came in."""
    protocol = protocols.for_exchange(exchange.name)
    market = Market(exchange.name, listed, 200, 7, START_US, protocol.style)
    dialect = protocol.dialect(listed, Denials(lambda kind, symbol: None), **protocol.ages)
    client = Subscriber(NO_SOCKET, START_US)
    for request in exchange.subscribe(listed):
        dialect.answer(client, request.text.encode(), START_US)
    found = []
    for tick in range(20):
        now = START_US + tick * 100_000
        for message in dialect.trades(client, market.until(now), now):
            for trade in exchange.parse(message.payload).trades:
                found.append((trade.symbol, raw.record(trade, now, "c", len(found))))
    assert len(found) > 100
    return found


def relay_of(exchange):
    relay = protocols.for_exchange(exchange.name).relay
    assert relay
    return relay


def batch(exchange, values):
    return RecordBatch.from_records(
        TP(f"{exchange.name}.raw", 0), [Record(*item) for item in enumerate(values)]
    )


class Record:
    timestamp, key = 0, b""

    def __init__(self, offset, value):
        self.offset, self.value = offset, value


def parsed(exchange, frames):
    """The trades of frames, by symbol."""
    found = {}
    for frame in frames:
        for symbol, sent in exchange.parse(frame).trades:
            found.setdefault(symbol, []).append(sent)
    return found


def test_every_trade_is_parsed_to_the_bytes_that_were_ingested(exchange, listed, ingested):
    wanted = {channel: {item.symbol for item in listed} for channel in ("trade", "market_trades")}
    client = Subscriber(NO_SOCKET, 0, wanted)
    found = placed(exchange, batch(exchange, [value for _, value in ingested]), 0, 2 * START_US)
    assert [each.trade.received for each in found] == sorted(each.trade.received for each in found)
    frames = [
        message.payload
        for symbol, group in groupby(found, key=lambda each: each.trade.symbol)
        for message in relay_of(exchange)(client, symbol, [each.trade.body for each in group], clock.now_us())
    ]
    expected = {}
    for symbol, value in ingested:
        expected.setdefault(symbol, []).append(body(value))
    assert parsed(exchange, frames) == expected


def test_a_client_gets_what_it_subscribed_to_only(exchange, ingested):
    relay = relay_of(exchange)
    assert relay(Subscriber(NO_SOCKET, 0), ingested[0][0], [body(ingested[0][1])], 0) == []


async def test_a_client_of_the_socket_gets_all_trades_in_order(exchange, listed, ingested, monkeypatch):
    monkeypatch.setattr("k2stream.simulator.relayed.SETTLE_SECONDS", 0.05)
    found = placed(exchange, batch(exchange, [value for _, value in ingested]), 0, 2 * START_US)
    venue = RelayedVenue(exchange.name, relay_of(exchange), listed, clock.now_us)

    async def recorded():
        for each in found:
            yield each.trade

    await venue.start("127.0.0.1", 0)
    try:
        async with connect(venue.url) as socket, asyncio.timeout(60):
            for request in exchange.subscribe(listed):
                await socket.send(request.text)
            await venue.ready()
            playing = asyncio.create_task(venue.play(recorded(), 10.0))
            frames, count = [], 0
            while count < len(found):
                frame = await socket.recv(decode=False)
                kind = exchange.parse(frame)
                assert kind.kind in (Kind.TRADES, Kind.CONTROL)
                count += len(kind.trades)
                frames.append(frame)
            assert await playing == len(found)
    finally:
        await venue.close()
    expected = {}
    for symbol, value in ingested:
        expected.setdefault(symbol, []).append(body(value))
    assert parsed(exchange, frames) == expected
