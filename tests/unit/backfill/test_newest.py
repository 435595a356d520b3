"""What a symbol traded at the end of an outage is fetched, also if it trades no more."""

import dataclasses
import json

import pytest

from k2stream import exchanges, topics
from k2stream.backfill import ids, newest
from k2stream.backfill.filler import Filler
from k2stream.exchanges.rest.spec import HistoryError
from k2stream.feed.batch import Batcher, Connection, Heard
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import RawTrade

from ..normalizer.test_normalizer import BINANCE, run
from .fake_rest import numbered
from .test_fill import NOW, answers, gap, published, task
from .test_filler import PARTITION, Group, record

SECOND = 1_000_000
SINCE, UP = NOW - 60 * SECOND, NOW - 30 * SECOND
NAMES = pytest.mark.parametrize("name", ["binance", "coinbase"])


def event(kind=EventKind.CONNECTED, symbol="", since=SINCE, time=UP, exchange="binance"):
    return FeedEvent(
        kind=kind, exchange=exchange, time=time, since=since, symbol=symbol, connection="binance-new"
    )


def traded(*numbers, symbol="BTCUSDT", time=UP - 5 * SECOND):
    """Trades, of which the last one was within the outage."""
    found = numbered(*numbers, symbol=symbol, time=lambda number: time)
    stamp = b'"T":%d' % (time // 1000)
    return [item._replace(trade=RawTrade(symbol, item.trade.body.replace(b'"T":1', stamp))) for item in found]


def heard(work, **trades):
    """The task of a feed that has brought these trades, by symbol."""
    return dataclasses.replace(work, heard=trades.get)


def live(number, time, connection="binance-old", symbol="BTCUSDT"):
    return Heard(connection, time, numbered(number, symbol=symbol)[0].trade)


async def answer(work, publisher, *events, name="binance"):
    group = Group(publisher)
    records = [record(number, item, name.encode()) for number, item in enumerate(events)]
    await Filler(work)._answer(group, PARTITION, records)
    return group


@NAMES
@pytest.mark.parametrize("kind", [EventKind.CONNECTED, EventKind.SUBSCRIBED, EventKind.LOST_FRAMES])
async def test_the_newest_trade_of_a_quiet_symbol_is_published(name, kind):
    """Only the symbol's next trade told of it before: hours later, or never."""
    work, publisher = task(exchanges.get(name), {"BTCUSDT": traded(*range(103))})
    symbol = "BTCUSDT" if kind is EventKind.SUBSCRIBED else ""
    group = await answer(work, publisher, event(kind, symbol, exchange=name), name=name)
    (found,) = published(publisher, name)
    assert (found["t"], found["k2_backfilled"]) == (102, True)
    (said,) = answers(publisher)
    assert (said.kind, said.symbol, said.count, said.since) == (EventKind.BACKFILLED, "BTCUSDT", 1, SINCE)
    assert group.commits == [(1, 1)] and len(work.client.asked) == 1


async def test_a_symbol_that_trades_only_while_the_feed_is_down_is_complete():
    """Through the feed's records, the filler and the normalizer, whose gap event gets the trades before."""
    trades = traded(*range(6))
    work, publisher = task(BINANCE, {"BTCUSDT": trades})
    feed = Batcher(BINANCE, work.settings.kafka.raw_partitions("binance"), simulated=True)
    for item in trades[:3]:
        feed.add(Connection("binance-old"), SINCE - SECOND, item.trade.body)
    await publisher.publish(feed.take().columns)
    work = dataclasses.replace(work, heard=feed.heard)
    await answer(work, publisher, event())
    raws = publisher.topics[topics.raw("binance")]
    (missed,) = run(BINANCE, [("BTCUSDT", item.value) for item in raws]).events
    assert (missed.kind, missed.first_missing, missed.last_missing) == (EventKind.GAP, 3, 4)
    await ids.fill(work, missed)
    done = run(BINANCE, [("BTCUSDT", item.value) for item in raws])
    assert len(done.values) == 6 and [item.kind for item in done.events] == [EventKind.GAP]


@pytest.mark.parametrize(
    ("brought", "asked", "count"),
    [
        (None, 1, 1),
        (live(1, SINCE - SECOND), 1, 1),
        (live(1, UP + SECOND, "binance-new"), 0, 0),  # tells of the ids before it
        (live(1, UP + SECOND, "binance-newer"), 0, 0),
        (live(1, UP - SECOND, "binance-new"), 0, 0),  # a snapshot before the subscription's answer
        (live(1, UP - SECOND, "binance-old"), 1, 1),  # was in a socket that was left unread
        (live(2, SINCE - SECOND), 1, 0),  # nothing was traded since
    ],
)
async def test_only_what_no_live_trade_tells_of_is_asked_for(brought, asked, count):
    work, publisher = task(BINANCE, {"BTCUSDT": traded(1, 2)})
    work = heard(work, BTCUSDT=brought)
    await answer(work, publisher, event())
    assert (len(work.client.asked), len(published(publisher))) == (asked, count)


async def test_a_symbol_that_comes_back_on_its_connection_has_not_been_heard_since():
    work, publisher = task(BINANCE, {"BTCUSDT": traded(1, 2)})
    work = heard(work, BTCUSDT=live(1, SINCE - SECOND, "binance-new"))
    await answer(work, publisher, event(EventKind.SUBSCRIBED, "BTCUSDT"))
    assert [item["t"] for item in published(publisher)] == [2]


async def test_a_trade_that_is_on_its_way_through_the_feed_is_left_to_it():
    """It was made while REST was asked: those before it are on their way too, and are no gap."""
    work, publisher = task(BINANCE, {"BTCUSDT": traded(1, 2)})
    brought = {}

    async def settled():
        brought["BTCUSDT"] = live(1, UP + SECOND, "binance-new")

    work = dataclasses.replace(work, heard=brought.get, settled=settled)
    await answer(work, publisher, event())
    assert len(work.client.asked) == 1 and not published(publisher)


async def test_a_symbol_that_the_feed_never_had_asks_nothing():
    work, publisher = task(BINANCE, {"BTCUSDT": traded(1, 2)})
    await answer(work, publisher, event(since=0), event(since=UP))  # each symbol had its own event
    assert not work.client.asked and not publisher.topics


async def test_what_was_traded_long_before_the_outage_is_not_published():
    work, publisher = task(BINANCE, {"BTCUSDT": traded(1, 2, time=SINCE - 3600 * SECOND)})
    await answer(work, publisher, event())
    assert not published(publisher)


async def test_outages_are_asked_for_once_a_symbol_and_before_gaps_are_committed():
    trades = {name: traded(*range(9), symbol=name) for name in ("BTCUSDT", "ETHUSDT")}
    work, publisher = task(BINANCE, trades)
    events = [
        event(EventKind.SUBSCRIBED, "ETHUSDT", since=SINCE - SECOND),
        gap(1, 2),
        event(time=UP - SECOND),
        event(),
    ]
    group = await answer(work, publisher, *events)
    assert [request.symbol for request in work.client.asked[:2]] == ["BTCUSDT", "ETHUSDT"]
    assert [item["t"] for item in published(publisher)] == [8, 8, 1, 2]
    since = {item.symbol: item.since for item in answers(publisher) if item.first_missing is None}
    assert since == {"BTCUSDT": SINCE, "ETHUSDT": SINCE - SECOND}
    assert group.commits == [(2, 3), (4, 3)]


async def test_a_symbol_that_the_exchange_no_longer_has_costs_no_other():
    refused = HistoryError("HTTP 400: Invalid symbol.", final=True)
    trades = {"OLDUSDT": refused, "BTCUSDT": traded(1, 2)}
    work, publisher = task(BINANCE, trades)
    await answer(work, publisher, event())
    assert [item["t"] for item in published(publisher)] == [2]
    assert answers(publisher)[0].detail == "nothing fetched: HTTP 400: Invalid symbol."


async def test_aggregated_trades_are_asked_for_by_their_own_ids():
    work, _ = task(BINANCE, {"BTCUSDT": traded(1, 2)})
    work = dataclasses.replace(work, numberings={"BTCUSDT": "agg"})
    await newest.fill(work, [event()])
    assert work.client.asked[0].path.endswith("/aggTrades")


def test_a_feed_remembers_each_symbols_last_trade():
    feed, link = Batcher(BINANCE, 1, simulated=True), Connection("binance-1")
    assert feed.heard("BTCUSDT") is None
    trades = numbered(1, 2)
    for number, item in enumerate(trades):
        feed.add(link, NOW + number, item.trade.body)
    last = feed.heard("BTCUSDT")
    assert last == Heard("binance-1", NOW + 1, trades[1].trade) and json.loads(last.trade.body)["t"] == 2
    assert feed.heard("ETHUSDT") is None
