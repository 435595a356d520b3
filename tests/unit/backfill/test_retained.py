"""What the raw topic says of when the feed was up.

The mutant "fetched trades count as a sign of life" fails `test_fetched_trades_are_no_sign_of_life`.
"""

import json
from types import SimpleNamespace

import pytest
from faust.types import TP

from k2stream import exchanges, topics
from k2stream.backfill import down, retained
from k2stream.exchanges import raw
from k2stream.model.trade import RawTrade
from k2stream.settings import KafkaSettings
from tests.unit.backfill.fake_rest import Offline

KRAKEN = exchanges.get("kraken")


def value(received, **more):
    row = {"pair": "XBT/USD", "price": "1", "volume": "1", "time": "1.0", "side": "b", "orderType": "l"}
    trade = RawTrade("XBT/USD", json.dumps(row | {"misc": ""}).encode())
    return raw.record(trade, received, "kraken-1", 0, **more)


class Values(list):
    """Of one partition, with those of the other."""

    def __init__(self):
        super().__init__()
        self.other = []


@pytest.fixture
def topic(monkeypatch):
    """Raw records in place of a broker's, in partition 0; the second one is the same list's `other`."""
    values = Values()
    other = values.other

    class Reader(Offline):
        async def retained(self, name, partitions):
            return {0: (0, len(values)), 1: (0, len(other))}

        async def read(self, name, stretches):
            for partition, (begin, end) in stretches.items():
                yield SimpleNamespace(values=(values, other)[partition][begin:end], tp=TP(name, partition))

    monkeypatch.setattr(retained, "Reader", Reader)
    return values


async def test_fetched_trades_are_no_sign_of_life(topic):
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 0, 1: 0}
    topic += [value(70), value(60), value(99, backfilled=True)]
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 70, 1: 0}


async def test_the_newest_live_trade_is_found_behind_any_number_of_fetched_ones(topic):
    topic += [value(7), *(value(99, backfilled=True) for _ in range(25))]
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 7, 1: 0}
    topic[0] = value(98, backfilled=True)
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 0, 1: 0}


async def test_a_trade_that_was_found_unread_is_a_sign_of_life_of_when_reading_stopped(topic):
    topic += [value(70), value(200, unread=90)]
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 90, 1: 0}


async def test_each_partition_speaks_for_itself(topic, monkeypatch):
    """A worker that died between two partitions had published to the one what the other does not have."""
    topic += [value(100), value(900)]
    topic.other += [value(100), *(value(950, backfilled=True) for _ in range(30))]
    assert await retained.last_received(KRAKEN, KafkaSettings()) == {0: 900, 1: 100}

    async def no_events(*_):
        for event in ():
            yield event

    monkeypatch.setattr(down, "_events", no_events)
    symbols = ["XBT/USD", "ETH/USD", "SOL/USD", "ADA/USD"]
    found = await down.last_up(KRAKEN, symbols, KafkaSettings())
    assert found == {name: (900, 100)[topics.partition_of(name, 2)] for name in symbols}
    assert set(found.values()) == {900, 100}


def test_a_symbol_that_moved_was_up_as_long_as_the_partition_that_it_left():
    symbol = next(name for name in map(str, range(99)) if len(topics.partitions_of(name, 4)) == 3)
    first, second, own = topics.partitions_of(symbol, 4)
    others = dict.fromkeys(range(4), 900)
    assert down.newest_of(symbol, others | {first: 0, second: 100, own: 0}) == 100
    assert down.newest_of(symbol, others | {first: 50, second: 100, own: 0}) == 50
    assert down.newest_of(symbol, others | {first: 50, second: 100, own: 70}) == 70
    assert down.newest_of(symbol, others | {first: 0, second: 0, own: 0}) == 900
