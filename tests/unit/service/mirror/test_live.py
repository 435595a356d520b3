"""Trades of the followed topic, as streams send them."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from k2stream import instruments, topics
from k2stream.service.mirror.live import FollowedTrades
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.ring import RingLog
from k2stream.settings import make
from tests.unit.service.stream.broker import encoded

ITEM = instruments.load(make().feeds.instruments_file)[0]
KAFKA = make().kafka
NUMBER = topics.partition_of(ITEM.symbol, KAFKA.raw_partitions(ITEM.exchange))


class Held:
    """A hub whose log is in memory."""

    kafka = KAFKA
    identity = ""

    def __init__(self):
        self.log, self.listeners, self.listening = RingLog(), [], asyncio.Event()
        self.log.begin({NUMBER: 0})

    def trades(self):
        return self

    async def ready(self):
        pass

    def listen(self, keys, listener):
        self.listeners.append(listener)
        self.listening.set()

    def leave(self, keys, listener):
        self.listeners.remove(listener)

    def add(self, trade_id, offset):
        record = encoded(ITEM, trade_id, offset, 5)
        self.log.add(StreamEntry(ITEM.key, NUMBER, Place(offset), 5, offset, None, record=record))


async def test_what_is_published_from_now_on_is_sent_once():
    hub: Any = Held()
    hub.add("6", 0)
    following: Any = FollowedTrades(hub).follow(ITEM)
    async with aclosing(following) as found, asyncio.timeout(60):
        first = asyncio.ensure_future(anext(found))
        await hub.listening.wait()
        await asyncio.sleep(0)
        hub.add("7", 1)
        hub.add("8", 2)
        hub.listeners[0].flush()
        assert [each.id for each in await first] == [7, 8]
        hub.add("9", 3)
        hub.listeners[0].flush()
        assert [each.id for each in await anext(found)] == [9]
    assert hub.listeners == []


@pytest.mark.parametrize(("before", "after", "count"), [("", "", 2), ("a", "b", 2), ("a", "b", 30)])
async def test_a_topic_made_anew_is_followed_from_where_it_is(before, after, count):
    """Its offsets begin again, and may be beyond what was reached before that is noticed."""
    hub: Any = Held()
    hub.identity = before
    for offset in range(9):
        hub.add(str(offset), offset)
    following: Any = FollowedTrades(hub).follow(ITEM)
    async with aclosing(following) as found, asyncio.timeout(60):
        next_one = asyncio.ensure_future(anext(found))
        await hub.listening.wait()
        await asyncio.sleep(0)
        hub.identity = after
        hub.log.begin({NUMBER: 0})
        for offset in range(count):
            hub.add(str(100 + offset), offset)
        hub.listeners[0].flush()
        for _ in range(10):
            await asyncio.sleep(0)
        hub.add("900", count)
        hub.listeners[0].flush()
        assert [each.id for each in await next_one] == [900]
