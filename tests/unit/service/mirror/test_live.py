"""Trades of the followed topic, as streams send them."""

import asyncio
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from k2stream import instruments, topics
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror.live import FollowedTrades, numbered
from k2stream.service.stream.channels import PushedTrade
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.ring import RingLog
from k2stream.settings import make

ITEM = instruments.load(make().feeds.instruments_file)[0]
KAFKA = make().kafka
NUMBER = topics.partition_of(ITEM.symbol, KAFKA.raw_partitions(ITEM.exchange))


def pushed(trade_id, offset):
    return PushedTrade(trade_id, 5000, "2.5", "3", "BUY", 1, 6000, False, NUMBER, offset)


class Held:
    """A hub whose log is in memory."""

    kafka = KAFKA

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
        entry = StreamEntry(ITEM.key, NUMBER, Place(offset), 5, offset, pushed(trade_id, offset))
        self.log.add(entry)


async def test_what_is_published_from_now_on_is_sent_once():
    hub: Any = Held()
    hub.add("6", 0)
    following: Any = FollowedTrades(hub).follow(ITEM)
    async with aclosing(following) as found, asyncio.timeout(5):
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


def test_a_trade_without_a_number_has_that_of_its_raw_record():
    expected = NumberedTrade(12, 12, 12, 5000, Decimal("2.5"), Decimal("3"), True)
    assert numbered(pushed("12", 7)) == expected
    assert numbered(pushed("KRAKEN-1-ab", 12)) == expected
