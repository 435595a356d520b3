"""What is compared is published before anybody else compares, and what comes in between is not doubled."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from k2stream import exchanges, topics
from k2stream.backfill import outages, past, turn
from k2stream.backfill.contents import TradeContents, contents
from k2stream.backfill.output import Output
from k2stream.backfill.past import BackfillReport
from k2stream.backfill.resume import BackfillFile, BackfillProgress
from k2stream.backfill.retained import RetainedTrades as Holding
from k2stream.backfill.span import TradeSpan
from k2stream.backfill.task import Task
from k2stream.backfill.turn import LEASE_SECONDS, OLD_US, Claims, Turns
from k2stream.exchanges import raw
from k2stream.feed import Columns, MemoryPublisher
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.instrument import Instrument
from k2stream.settings import Settings
from tests.unit.backfill.fake_rest import FakeRestClient

from .test_fill import connected, kraken

KRAKEN = exchanges.get("kraken")
PAIR = Instrument("kraken", "XBT/USD", "BTC/USD")
START = 1_700_000_000_000_000
SETTINGS = Settings()


def event(kind, connection, time=0):
    return FeedEvent(kind=kind, exchange="kraken", time=time, connection=connection)


CLAIMED, RELEASED = EventKind.CLAIMED, EventKind.RELEASED


def claims(*events, now=0.0, now_us=0):
    made = Claims()
    made.take(events, now, now_us)
    return made


def test_turns_go_in_the_order_of_the_claims():
    events = [event(CLAIMED, "a"), event(CLAIMED, "b"), event(EventKind.CONNECTED, "a")]
    assert claims().holder(0) == "" and claims(*events).holder(0) == "a"
    assert claims(*events, event(RELEASED, "a")).holder(0) == "b"
    assert claims(*events, event(CLAIMED, "a")).holder(0) == "b"
    assert claims(*events, event(RELEASED, "b"), event(RELEASED, "a")).holder(0) == ""


@pytest.mark.parametrize("wrong", [0, 300_000_000, -300_000_000])
def test_a_claim_that_nobody_released_ends_by_itself_whatever_the_clocks(wrong):
    """Its writer's clock, five minutes ahead of ours or behind it, neither shortens nor prolongs it."""
    made = claims(event(CLAIMED, "a", START + wrong), now=7.0, now_us=START)
    made.take([event(CLAIMED, "b", START)], 8.0, START)
    assert made.holder(7.0 + LEASE_SECONDS - 0.1) == "a" and made.holder(7.0 + LEASE_SECONDS) == "b"
    assert made.holder(8.0 + LEASE_SECONDS) == ""


def test_a_claim_of_long_ago_is_not_waited_for():
    assert claims(event(CLAIMED, "a", START - OLD_US), now_us=START).holder(0) == ""


class Topic:
    """A raw topic and the feed events in memory, as Kafka orders them."""

    def __init__(self):
        self.publisher = MemoryPublisher()

    def output(self):
        return Output("kraken", self, SETTINGS.kafka)

    async def publish(self, columns):
        await asyncio.sleep(0)  # others get on
        await self.publisher.publish(columns)

    def values(self):
        return [record.value for record in self.publisher.topics.get(topics.raw("kraken"), [])]

    def times(self):
        """Of all records by content."""
        stored = TradeContents()
        records, _ = raw.decode(KRAKEN, self.values())
        columns = KRAKEN.normalize(records)
        for record, content, time in zip(records, contents(columns), columns.timestamp, strict=True):
            stored.add(content, time, "" if record.k2_backfilled else record.k2_conn)
        return stored.times()

    async def live(self, *trades):
        for item in trades:
            columns = {(topics.raw("kraken"), 0): Columns()}
            columns[topics.raw("kraken"), 0].append(b"", raw.record(item.trade, item.time, "kraken-1", 0), 0)
            await self.publisher.publish(columns)


@pytest.fixture
def topic(monkeypatch):
    made = Topic()

    class Known:
        def __init__(self, *_):
            pass

        async def times(self):
            await asyncio.sleep(0)
            return made.times()

    class RetainedReader(Known):
        async def read(self):
            await asyncio.sleep(0)
            return Holding({"XBT/USD": made.times()}, 0, 0)

    async def events(self):
        await asyncio.sleep(0)
        found = made.publisher.topics.get(topics.FEED_EVENTS, [])[self._next :]
        self._next = (self._next or 0) + len(found)
        return [turn._EVENT.decode(record.value) for record in found]

    monkeypatch.setattr(past, "Known", Known)
    monkeypatch.setattr(outages, "RetainedReader", RetainedReader)
    monkeypatch.setattr(Turns, "events", events)
    monkeypatch.setattr(turn, "AGAIN_SECONDS", 0)
    return made


def backfill(topic, tmp_path, monkeypatch, client):
    @asynccontextmanager
    async def client_of(*_):
        yield client

    monkeypatch.setattr(past, "client_of", client_of)
    span = TradeSpan(START, START + 10_000)
    return past._fetch(
        SETTINGS, PAIR, span, topic.output(), BackfillFile(tmp_path, PAIR, span), BackfillProgress(), SILENT
    )


SILENT = BackfillReport(lambda text: None, lambda done, fetched: None)


async def test_live_trades_that_come_while_a_backfill_fetches_are_not_doubled(topic, tmp_path, monkeypatch):
    trades = kraken(*range(START, START + 9000, 3))
    client = FakeRestClient(KRAKEN, {"XBT/USD": trades}, 1000)

    async def fetch(request, ask=client.fetch):
        page = 1000 * len(client.asked)
        await topic.live(*trades[page + 900 : page + 1000])
        return await ask(request)

    monkeypatch.setattr(client, "fetch", fetch)
    progress = await backfill(topic, tmp_path, monkeypatch, client)
    fetched = [json.loads(value)["time"] for value in topic.values()]
    assert progress.fetched == 3000 and len(fetched) == len(set(fetched)) == 3000


async def test_two_backfills_and_the_gap_filler_at_once_publish_each_trade_once(topic, tmp_path, monkeypatch):
    trades = [
        item for time in range(START, START + 4500, 3) for item in kraken(time, time)
    ]  # each is real twice
    for number, item in enumerate(trades):
        trades[number] = item._replace(id=number)
    await topic.live(*trades[::2])
    client = FakeRestClient(KRAKEN, {"XBT/USD": trades})
    output = topic.output()

    async def settled():
        pass

    work = Task(
        KRAKEN, ["XBT/USD"], client, output, SETTINGS, settled, turns=Turns("kraken", output, SETTINGS)
    )
    await asyncio.gather(
        backfill(topic, tmp_path / "a", monkeypatch, client),
        backfill(topic, tmp_path / "b", monkeypatch, client),
        outages.fill(work, connected(START + 5, START + 4400)),
    )
    assert sorted(json.loads(value)["time"] for value in topic.values()) == sorted(
        json.loads(item.trade.body)["time"] for item in trades
    )


async def test_who_stood_still_while_comparing_compares_again(topic, monkeypatch):
    """Others have taken their turn since, and published."""
    missing, passed = kraken(START), [0.0]
    monkeypatch.setattr(turn, "time", SimpleNamespace(monotonic=lambda: passed[0]))

    async def compare():
        passed[0] += LEASE_SECONDS
        monkeypatch.setattr(turn, "LEASE_SECONDS", 1e9)
        found, missing[:] = list(missing), []
        return found

    assert await Turns("kraken", topic.output(), SETTINGS).publish(compare) == 0
    assert not topic.values() and not missing


async def test_a_backfill_ends_where_trades_come_with_the_feed(monkeypatch):
    now, steps, received = START, [], iter([START - 6_000_000, START - 4_000_000])
    monkeypatch.setattr(clock, "now_us", lambda: now)
    monkeypatch.setattr(past, "WAIT_SECONDS", 0)

    async def last_received(*_):
        return {0: next(received)}

    async def exchange_ahead(*_):
        return ahead

    ahead = 0
    monkeypatch.setattr(past, "last_received", last_received)
    monkeypatch.setattr(past, "exchange_ahead", exchange_ahead)
    report = BackfillReport(steps.append, lambda done, fetched: None)
    span = await past.settled(SETTINGS, KRAKEN, TradeSpan(START - 60_000_000, START + 60_000_000), report)
    assert span == TradeSpan(START - 60_000_000, START - 5_000_000) and "come with the feed" in steps[0]
    assert next(received, None) is None  # waited for a trade that was received later
    old = TradeSpan(START - 9_000_000_000, START - 8_000_000_000)
    assert await past.settled(SETTINGS, KRAKEN, old, report) == old
    with pytest.raises(ConfigError, match="come with the feed"):
        await past.settled(SETTINGS, KRAKEN, TradeSpan(START, START + 60_000_000), report)
