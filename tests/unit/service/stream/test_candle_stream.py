"""Candles: live, from a time, from a token; what repeats, what was missed, and clients that are slow."""

import asyncio

from k2stream.service.stream import history
from k2stream.service.stream.channels import CandleChannel
from k2stream.service.stream.latest import LatestLog
from k2stream.web.query import RequestError
from tests.unit.service.memory import candle
from tests.unit.service.stream.asking import MINUTE, T0, subscribe, windows


async def test_a_live_subscription_gets_what_is_published_from_now_on(joined, revise, first):
    revise(T0, 1)
    client, inbox = joined()
    client.take(subscribe(first))
    await inbox.said("caught_up")
    revise(T0, 2)
    revise(T0 + MINUTE, 1)
    await inbox.until(lambda _: len(inbox.of("candle")) == 2)
    assert windows(inbox) == [(T0, 2), (T0 + MINUTE, 1)]
    hello, subscribed, caught_up, message, _ = inbox.messages
    assert hello == {"op": "hello", "simulated": True}
    assert subscribed == {"op": "subscribed", "id": 1}
    assert caught_up["id"] == 1
    assert (message["channel"], message["exchange"]) == ("candles", first.exchange)
    assert (message["symbol"], message["timeframe"]) == (first.canonical, "1m")
    assert message["candle"]["close"] == "2.5"
    assert isinstance(message["resume"], str)


async def test_history_comes_first_and_nothing_twice(joined, revise, first):
    for at in range(5):
        revise(T0 + at * MINUTE, 3, final=at < 4)
    client, inbox = joined()
    client.take(subscribe(first, since=T0))
    await inbox.said("caught_up")
    assert windows(inbox) == [(T0 + at * MINUTE, 3) for at in range(5)]
    assert inbox.messages[-1]["op"] == "caught_up"
    revise(T0 + 4 * MINUTE, 4, final=True)
    await inbox.until(lambda _: len(inbox.of("candle")) == 6)
    assert windows(inbox)[-1] == (T0 + 4 * MINUTE, 4)


async def test_what_a_killed_worker_publishes_again_is_not_sent_again(joined, revise, broker, first):
    client, inbox = joined()
    client.take(subscribe(first))
    await inbox.said("caught_up")
    sent = [revise(T0, revision) for revision in (1, 2, 3)]
    await inbox.until(lambda _: (T0, 3) in windows(inbox))
    for repeated in sent:
        broker.publish(repeated)
    revise(T0, 4)
    await inbox.until(lambda _: windows(inbox) and windows(inbox)[-1] == (T0, 4))
    assert windows(inbox) == [(T0, 3), (T0, 4)]


async def test_a_candle_ahead_of_the_topic_is_sent_once(joined, revise, broker, tables, first):
    ahead = candle(first, "1m", T0, revision=7)
    tables.put(ahead)
    client, inbox = joined()
    client.take(subscribe(first, since=T0))
    caught_up = await inbox.said("caught_up")
    assert windows(inbox) == [(T0, 7)]
    other, more = joined()
    other.take(subscribe(first, since=caught_up["resume"]))
    await more.said("caught_up")
    broker.publish(ahead._replace(revision=6))
    broker.publish(ahead)
    revise(T0, 8)
    await inbox.until(lambda _: (T0, 8) in windows(inbox))
    await more.until(lambda _: (T0, 8) in windows(more))
    assert windows(inbox) == [(T0, 7), (T0, 8)]
    assert windows(more) == [(T0, 8)]


async def test_a_slow_client_gets_the_newest_revision_of_each_candle(joined, revise, first):
    client, inbox = joined(room=4)
    client.take(subscribe(first))
    await inbox.said("caught_up")
    revise(T0, 1)
    await inbox.until(lambda _: inbox.paused)
    for revision in range(2, 50):
        revise(T0, revision)
    revise(T0 + MINUTE, 1)
    other, fast = joined()
    other.take(subscribe(first, since=T0))
    await fast.until(lambda _: (T0 + MINUTE, 1) in windows(fast))
    inbox.read(100)
    assert windows(inbox) == [(T0, 1), (T0, 49), (T0 + MINUTE, 1)]


async def test_a_client_that_never_reads_is_dropped_with_a_reason(joined, revise, first, monkeypatch):
    monkeypatch.setattr("k2stream.service.stream.hub.SLOW_SECONDS", 0)
    monkeypatch.setattr("k2stream.service.stream.hub.TICK_SECONDS", 0.01)
    client, inbox = joined(room=4)
    client.take(subscribe(first))
    await inbox.said("caught_up")
    revise(T0, 1)
    end = await inbox.said("end")
    assert end["reason"] == "slow"
    assert inbox.ended == (1013, "slow")
    assert end["resume"]["1"] == inbox.of("candle")[0]["resume"]


async def test_expired_offsets_are_read_again_and_that_is_said(joined, revise, broker, hub, first):
    client, inbox = joined()
    client.take(subscribe(first, since=T0))
    caught_up = await inbox.said("caught_up")
    client.leave()
    hub.stop()
    for at in range(10):
        revise(T0 + at * MINUTE, 1, final=True)
    broker.begin["market.crypto.ohlcv.1m", 0] = 5
    other, more = joined()
    other.take(subscribe(first, since=caught_up["resume"]))
    await more.said("caught_up")
    assert (await more.said("reread"))["start"] == T0
    assert windows(more) == [(T0 + at * MINUTE, 1) for at in range(10)]


async def test_a_worker_that_recovers_is_waited_for(joined, revise, tables, first, monkeypatch):
    monkeypatch.setattr(history, "AGAIN_SECONDS", 0.01)
    revise(T0, 1)
    tables.error = RequestError(503, "recovering")
    client, inbox = joined()
    client.take(subscribe(first, since=T0))
    await inbox.said("subscribed")
    await asyncio.sleep(0)
    tables.error = None
    await inbox.said("caught_up")
    assert windows(inbox) == [(T0, 1)]


async def test_a_client_that_is_dropped_amid_its_history_is_forgotten(
    joined, revise, tables, hub, first, monkeypatch, caplog
):
    """More windows change than the log holds, while the history is looked up."""
    monkeypatch.setattr(CandleChannel, "log", lambda self: LatestLog(2))
    for minute in range(3):
        revise(T0 + minute * MINUTE, 1)
    read = tables.read

    async def slowly(instrument, of, query):
        found = await read(instrument, of, query)
        for minute in range(9):
            revise(T0 + minute * MINUTE, 5)
        for _ in range(50):
            await asyncio.sleep(0)
        return found

    monkeypatch.setattr(tables, "read", slowly)
    client, inbox = joined()
    client.take(subscribe(first, since=T0))
    await inbox.until(lambda _: inbox.ended)
    for _ in range(50):
        await asyncio.sleep(0)
    assert inbox.ended == (1013, "slow")
    assert inbox.messages[-1]["op"] == "end"
    source = hub._follower(CandleChannel("1m", hub._health))
    assert (source.listened, caplog.messages) == (False, [])
