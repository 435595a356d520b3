"""Trades and feed health: from now, from a time, from a token."""

import msgspec
import pytest

from k2stream import topics
from k2stream.model.errors import Expired
from k2stream.model.events import EventKind, FeedEvent, encode
from k2stream.service.stream.channels import TradeChannel
from k2stream.service.stream.entries import Place
from k2stream.service.stream.records import OutOfReach, missed
from tests.unit.service.stream.asking import T0, subscribe

SECOND = 1000


def offsets(inbox):
    return [each["trade"]["raw_offset"] for each in inbox.of("trade")]


async def test_trades_are_pushed_once(joined, trade, first):
    trade(1, T0)
    client, inbox = joined()
    client.take(subscribe(first, channel="trades"))
    await inbox.said("caught_up")
    for offset in (2, 3, 2, 3, 4):  # a worker that was killed publishes again
        trade(offset, T0 + offset)
    await inbox.until(lambda _: len(inbox.of("trade")) == 3)
    assert offsets(inbox) == [2, 3, 4]
    message = inbox.of("trade")[0]
    assert message["channel"] == "trades"
    assert (
        message["trade"] | {"trade_id": "2", "price": "2.5", "quantity": "0.1", "side": "BUY"}
        == message["trade"]
    )
    assert message["trade"]["timestamp"] == (T0 + 2) * 1000


async def test_trades_since_a_time_then_from_a_token(joined, trade, hub, first):
    for offset in range(1, 700):
        trade(offset, T0 + offset * SECOND)
    client, inbox = joined()
    client.take(subscribe(first, channel="trades", since=T0 + 10 * SECOND))
    await inbox.said("caught_up")
    assert offsets(inbox) == list(range(10, 700))
    client.leave()
    hub.stop()
    other, more = joined()
    other.take(subscribe(first, channel="trades", since=inbox.of("trade")[99]["resume"]))
    await more.said("caught_up")
    trade(700, T0 + 700 * SECOND)
    await more.until(lambda _: 700 in offsets(more))
    assert offsets(more) == list(range(110, 701))


async def test_trades_that_expired_are_refused(joined, trade, broker, first):
    for offset in range(1, 50):
        trade(offset, T0 + offset * SECOND)
    broker.begin[topics.NORMALIZED, 0] = 10
    client, inbox = joined()
    client.take(subscribe(first, channel="trades", since=T0))
    assert (await inbox.said("error"))["problem"]["status"] == 410


async def test_trades_that_expire_between_two_looks_are_not_left_out(trade, broker, first, monkeypatch):
    for offset in range(20):
        trade(offset, T0 + offset)
    retained = broker.retained

    async def expiring(topic, partitions):
        found = await retained(topic, partitions)
        broker.begin[topics.NORMALIZED, 0] = 10
        return found

    monkeypatch.setattr(broker, "retained", expiring)
    of, places, ends = {0: [first.key]}, {0: Place(3, T0)}, {0: Place(19, T0 + 19)}
    with pytest.raises((OutOfReach, Expired)):
        _ = [entries async for entries in missed(broker.connect, TradeChannel(), 1, of, places, ends)]


async def test_a_client_that_misses_trades_is_dropped(joined, trade, first, monkeypatch):
    monkeypatch.setattr("k2stream.service.stream.ring.PER_KEY", 10)
    client, inbox = joined(room=4)
    client.take(subscribe(first, channel="trades"))
    await inbox.said("caught_up")
    trade(1, T0)
    await inbox.until(lambda _: inbox.paused)
    other, fast = joined()
    other.take(subscribe(first, channel="trades", name="fast"))
    await fast.said("caught_up")
    for offset in range(2, 40):
        trade(offset, T0 + offset)
        await fast.until(lambda _, offset=offset: offset in offsets(fast))
    inbox.read(100)
    assert inbox.messages[-1]["op"] == "end"
    assert (inbox.ended, inbox.messages[-1]["resume"]) == (
        (1013, "slow"),
        {"1": inbox.of("trade")[-1]["resume"]},
    )
    assert offsets(inbox) == [1]


async def test_events_of_a_symbol_and_of_its_whole_feed(joined, broker, listed, first):
    other = next(item for item in listed if item.exchange != first.exchange)
    client, inbox = joined()
    client.take(subscribe(first, channel="health"))
    await inbox.said("caught_up")
    for exchange, symbol in ((first.exchange, first.symbol), (other.exchange, ""), (first.exchange, "")):
        event = FeedEvent(kind=EventKind.SILENCE, exchange=exchange, symbol=symbol, time=T0 * 1000)
        broker.append(topics.FEED_EVENTS, 0, exchange, encode(event))
    broker.append(topics.FEED_EVENTS, 0, "", b"no event")
    await inbox.until(lambda _: len(inbox.of("event")) == 2)
    assert [each["symbol"] for each in inbox.of("event")] == [first.canonical, "*"]
    assert inbox.of("event")[0]["event"]["kind"] == "silence"
    assert msgspec.json.encode(inbox.of("event")[0])
