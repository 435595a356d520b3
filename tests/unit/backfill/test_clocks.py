"""Outages of an exchange without ids are filled once, also where our clock was set right in between."""

import json
from bisect import bisect_left
from itertools import accumulate
from types import SimpleNamespace

import numpy as np
import pytest
from faust.types import TP

from k2stream import exchanges, topics
from k2stream.backfill import outages, retained
from k2stream.backfill.clocks import Clocks
from k2stream.backfill.output import Output
from k2stream.backfill.task import Task
from k2stream.exchanges import raw
from k2stream.feed import MemoryPublisher
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import make
from tests.unit.backfill.fake_rest import FakeRestClient, Offline

from ..normalizer.test_normalizer import run
from .test_fill import kraken

KRAKEN = exchanges.get("kraken")
PAIR = "XBT/USD"
START = 1_700_000_000_000_000
SECOND, MINUTE = 1_000_000, 60_000_000
SETTINGS = make(gap_fill_margin_seconds=2)


class Topic(MemoryPublisher):
    """A raw topic of one partition, as Kafka finds records by time: the first one as late as that.

    `normalized` are records of the normalized topic.
    """

    def __init__(self):
        super().__init__()
        self.normalized = []

    @property
    def records(self):
        return self.topics.setdefault(topics.raw("kraken"), [])

    def receive(self, connection, items, ahead):
        for number, item in enumerate(items):
            received = item.time - ahead + 20_000
            value = raw.record(item.trade, received, connection, number)
            self.records.append(SimpleNamespace(value=value, timestamp=received // 1000))

    def times(self):
        return sorted(json.loads(record.value)["time"] for record in self.records)


@pytest.fixture
def topic(monkeypatch):
    made = Topic()

    class Reader(Offline):
        async def exists(self, name):
            return bool(made.normalized)

        async def since(self, name, partitions, ms):
            if name == topics.NORMALIZED:
                return {0: (0, len(made.normalized))}
            newest = list(accumulate((record.timestamp for record in made.records), max))
            return {0: (bisect_left(newest, ms), len(newest))}

        async def retained(self, name, partitions):
            return {0: (0, len(made.records))}

        async def read(self, name, stretches):
            begin, end = stretches[0]
            if name == topics.NORMALIZED:
                keys = [b"kraken:BTC/USD"] * len(made.normalized)
                yield SimpleNamespace(values=made.normalized, keys=keys, tp=TP(name, 0))
                return
            values = [record.value for record in made.records[begin:end]]
            if values:
                yield SimpleNamespace(values=values, offsets=np.arange(begin, end), tp=TP(name, 0))

    monkeypatch.setattr(retained, "Reader", Reader)
    return made


async def filled(topic, trades, since, time):
    """What `k2stream.raw.kraken` has after an outage told by our clock, and was asked for."""

    async def settled():
        pass

    client = FakeRestClient(KRAKEN, {PAIR: trades})
    task = Task(
        KRAKEN,
        [PAIR],
        client,
        Output("kraken", topic, SETTINGS.kafka),
        SETTINGS,
        settled,
        lambda: START + 9 * MINUTE,
    )
    event = FeedEvent(kind=EventKind.CONNECTED, exchange="kraken", time=time, since=since, connection="new")
    await outages.fill(task, event)
    return client


@pytest.mark.parametrize(
    ("before", "after"),
    [(0, 0), (20, 20), (300, 300), (-300, -300), (0, 300), (300, 0), (0, -300), (-300, 0), (0, 20)],
)
async def test_an_outage_is_filled_once_whatever_our_clock_said_before_and_after_it(topic, before, after):
    """`before`, `after`: seconds by which the exchange's clock is ahead of ours."""
    before, after = before * SECOND, after * SECOND
    trades = kraken(*range(START, START + 8 * MINUTE, 100_000))
    down, up = 2000, 2050
    topic.receive("old", trades[:down], before)
    topic.receive("new", trades[up:], after)
    since, time = trades[down - 1].time - before, trades[up].time - after
    client = await filled(topic, trades, since, time)
    assert topic.times() == sorted(json.loads(item.trade.body)["time"] for item in trades)
    asked = [int(request.query["since"]) // 1000 for request in client.asked]
    assert min(asked) > trades[down].time - 3 * SECOND


async def test_trades_that_were_normalized_before_their_raw_records_were_lost_are_not_fetched(topic):
    """A raw log was cut, and its offsets are used again by records of the new connection."""
    trades = kraken(*range(START, START + 4 * MINUTE, 100_000))
    down, lost, up = 1000, 1010, 1050
    topic.receive("old", trades[:lost], 0)
    made = run(KRAKEN, [(PAIR, record.value) for record in topic.records], partition=0)
    topic.normalized = made.values
    del topic.records[down:]
    topic.receive("new", trades[up:], 0)
    await filled(topic, trades, trades[down - 1].time, trades[up].time)
    times = [json.loads(item.trade.body)["time"] for item in trades]
    assert topic.times() == sorted(times[:down] + times[lost:])


async def test_of_a_quiet_exchange_the_clocks_are_looked_for_further_back(topic):
    """Its trades of minutes ago are found to be held, and what came since our clock went back is fetched."""
    ahead = 300 * SECOND
    trades = kraken(*range(START, START + 8 * MINUTE, 40 * SECOND))
    topic.receive("old", trades[:6], 0)
    topic.receive("new", trades[8:], ahead)
    await filled(topic, trades, trades[5].time + 35 * SECOND, trades[8].time - ahead)
    assert topic.times() == sorted(json.loads(item.trade.body)["time"] for item in trades)


def test_the_difference_is_that_of_most_live_frames_by_its_newest_trade():
    clocks = Clocks()
    for number in range(50):  # a snapshot: one frame
        clocks.add(0, "a", PAIR, START - number * MINUTE, START)
    assert clocks.around("a") == (None, None)
    for number in range(1, 21):
        received = START + number * SECOND
        clocks.add(0, "a", PAIR, received - 9 * SECOND, received)  # matched before the newest of its frame
        clocks.add(0, "a", PAIR, received - number, received)
    clocks.add(0, "a", PAIR, START + 60 * MINUTE, START + 30 * SECOND)  # one that is dated ahead
    assert clocks.around("a") == (None, -5)
    assert clocks.around("b") == (-5, None)


def test_the_connection_before_speaks_for_the_time_before():
    clocks = Clocks()
    for connection, ahead in (("a", 7), ("b", 300), ("c", -2), ("d", 99)):
        for number in range(3):
            clocks.add(0, connection, PAIR, START + number + ahead, START + number)
    assert clocks.around("c") == (300, -2)
