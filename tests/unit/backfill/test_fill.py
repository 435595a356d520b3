"""What is asked for a gap or an outage, and what is said of it."""

import dataclasses
import json
from types import SimpleNamespace

import msgspec
import pytest

from k2stream import exchanges, topics
from k2stream.backfill import ids, outages
from k2stream.backfill import task as task_module
from k2stream.backfill.down import down_since
from k2stream.backfill.output import Output
from k2stream.backfill.retained import RetainedTrades
from k2stream.backfill.span import TradeSpan
from k2stream.backfill.task import Task
from k2stream.exchanges.rest.spec import HistoryError, Past
from k2stream.feed import MemoryPublisher
from k2stream.model import events
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import RawTrade
from k2stream.settings import make
from tests.unit.backfill.fake_rest import FakeRestClient, numbered

NOW = 1_700_000_000_000_000
LONG_AGO = NOW - 3_600_000_000
SETTINGS = make(gap_fill_margin_seconds=0.001, simulated=True, kraken_partitions=3)


def task(exchange, trades, most=None):
    async def settled():
        pass

    publisher = MemoryPublisher()
    made = Task(
        exchange,
        list(trades),
        FakeRestClient(exchange, trades, most),
        Output(exchange.name, publisher, SETTINGS.kafka, lambda: NOW),
        SETTINGS,
        settled,
        lambda: NOW,
    )
    return made, publisher


def gap(first, last, kind=EventKind.GAP, exchange="binance", **more):
    event = {"symbol": "BTCUSDT", "first_missing": first, "last_missing": last, "count": last - first + 1}
    return FeedEvent(kind=kind, exchange=exchange, time=LONG_AGO, since=7, **event, **more)


def published(publisher, exchange="binance"):
    return [json.loads(record.value) for record in publisher.topics.get(topics.raw(exchange), [])]


def answers(publisher):
    records = publisher.topics.get(topics.FEED_EVENTS, [])
    return [msgspec.json.decode(record.value, type=FeedEvent) for record in records]


async def test_exactly_the_ids_of_a_gap_are_published_in_pages_and_marked():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(5000))})
    await ids.fill(work, gap(1500, 3700))
    found = published(publisher)
    assert [record["t"] for record in found] == list(range(1500, 3701))
    assert [request.query["fromId"] for request in work.client.asked] == ["1500", "2500", "3500"]
    assert all(record["k2_backfilled"] is True and record["k2_recv"] == NOW for record in found)
    assert {record["k2_conn"] for record in found} == {work.output.connection}
    assert [record["k2_seq"] for record in found] == list(range(2201))
    (answer,) = answers(publisher)
    assert (answer.kind, answer.symbol, answer.count) == (EventKind.BACKFILLED, "BTCUSDT", 2201)
    assert (answer.first_missing, answer.last_missing, answer.since, answer.detail) == (1500, 3700, 7, "")


async def test_what_the_exchange_has_no_more_is_fetched():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(100, 200))})
    await ids.fill(work, gap(90, 109))
    assert [record["t"] for record in published(publisher)] == list(range(100, 110))
    assert answers(publisher)[0].detail == "10 are permanently missing: the exchange does not return them"


async def test_ids_of_a_jump_may_be_of_no_trade():
    trades = {"BTCUSDT": numbered(1, 2, 5, 9, 1004, 1005, 1010)}
    work, publisher = task(exchanges.get("coinbase"), trades)
    await ids.fill(work, gap(3, 1007, EventKind.JUMP, "coinbase"))
    assert [record["t"] for record in published(publisher, "coinbase")] == [5, 9, 1004, 1005]
    asked = [request.query["after"] for request in work.client.asked if "after" in request.query]
    assert list(dict.fromkeys(asked)) == ["1003", "1008"]
    assert answers(publisher)[0].detail == "1001 ids belong to no trade that the exchange returns"


@pytest.mark.parametrize("name", ["binance", "coinbase"])
async def test_a_million_ids_that_the_exchange_left_out_are_asked_for_in_a_few_requests(name):
    work, publisher = task(exchanges.get(name), {"BTCUSDT": numbered(1, 1_000_002)})
    await ids.fill(work, gap(2, 1_000_001, exchange=name))
    assert not published(publisher, name)
    assert len(work.client.asked) <= 4
    assert answers(publisher)[0].detail.startswith("1000000 are permanently missing")


@pytest.mark.parametrize("before", [[1], []], ids=["told", "not told"])
@pytest.mark.parametrize("name", ["binance", "coinbase"])
async def test_trades_after_ids_that_a_restart_left_out_are_found_at_once(name, before):
    """The exchange traded before the feed was back; it may have forgotten what was before its restart."""
    trades = [*before, 999_990, 999_995, 1_000_002]
    work, publisher = task(exchanges.get(name), {"BTCUSDT": numbered(*trades)})
    await ids.fill(work, gap(2, 1_000_001, exchange=name))
    assert [record["t"] for record in published(publisher, name)] == [999_990, 999_995]
    assert len(work.client.asked) <= 8


async def test_a_full_answer_from_above_says_nothing_of_the_ids_below_it():
    work, publisher = task(exchanges.get("coinbase"), {"BTCUSDT": numbered(*range(3000, 8000))})
    await ids.fill(work, gap(1, 7000, exchange="coinbase"))
    assert [record["t"] for record in published(publisher, "coinbase")] == list(range(3000, 7001))


async def test_a_young_gap_is_asked_for_again_until_rest_has_it(monkeypatch):
    monkeypatch.setattr(ids, "AGAIN_SECONDS", 0)
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(1, 2)})

    async def fetch(request, ask=work.client.fetch):
        work.client.trades["BTCUSDT"] = numbered(*range(1, 3 + len(work.client.asked)))
        return await ask(request)

    work.client.fetch = fetch
    await ids.fill(work, msgspec.structs.replace(gap(2, 6), time=NOW))
    assert [record["t"] for record in published(publisher)] == [2, 3, 4, 5, 6]
    assert len(work.client.asked) == 5 and answers(publisher)[0].count == 5


@pytest.mark.parametrize(
    ("name", "kind"), [("binance", EventKind.GAP), ("coinbase", EventKind.JUMP)], ids=["gap", "jump"]
)
async def test_ids_are_asked_for_until_rest_has_got_beyond_them(monkeypatch, name, kind):
    monkeypatch.setattr(ids, "AGAIN_SECONDS", 0)
    work, publisher = task(exchanges.get(name), {"BTCUSDT": numbered(1, 2)})
    later = iter([numbered(1, 2, 3), numbered(1, 2, 3, 5), numbered(1, 2, 3, 5, 7)])

    async def fetch(request, ask=work.client.fetch):
        if "fromId" in request.query or "after" in request.query:
            found = await ask(request)
            work.client.trades["BTCUSDT"] = next(later, work.client.trades["BTCUSDT"])
            return found
        return await ask(request)

    work.client.fetch = fetch
    await ids.fill(work, gap(2, 6, kind, name))  # of an hour ago: old enough to be given up
    assert [record["t"] for record in published(publisher, name)] == [2, 3, 5]
    assert answers(publisher)[0].count == 3


async def test_ids_that_have_started_again_since_are_not_asked_for_for_ever():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(1, 2, time=lambda _: NOW)})
    await ids.fill(work, gap(700, 701))
    assert answers(publisher)[0].detail.startswith("2 are permanently missing")


async def test_a_refused_request_is_told_and_given_up():
    refused = {"BTCUSDT": HistoryError("HTTP 400: Invalid symbol.", final=True)}
    work, publisher = task(exchanges.get("binance"), refused)
    await ids.fill(work, gap(1, 2))
    assert published(publisher) == []
    assert answers(publisher)[0].detail == "nothing fetched: HTTP 400: Invalid symbol."


async def test_of_a_gap_beyond_all_measure_the_newest_are_fetched(monkeypatch):
    monkeypatch.setattr(ids, "MOST_IDS", 10)
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(100))})
    await ids.fill(work, gap(0, 99))
    assert [record["t"] for record in published(publisher)] == list(range(90, 100))
    assert answers(publisher)[0].detail.startswith("90 are permanently missing")


def kraken(*times, symbol="XBT/USD", **changes):
    row = {"price": "1.5", "volume": "0.1", "side": "b", "orderType": "l", "misc": ""} | changes
    return [
        Past(
            number,
            time,
            RawTrade(symbol, json.dumps({"pair": symbol, "time": seconds(time), **row}).encode()),
        )
        for number, time in enumerate(times)
    ]


def seconds(time):
    return f"{time // 1_000_000}.{time % 1_000_000:06d}"


def connected(since, time=LONG_AGO):
    return FeedEvent(
        kind=EventKind.CONNECTED, exchange="kraken", time=time, since=since, connection="kraken-1"
    )


@pytest.fixture
def raw_topic(monkeypatch):
    """What the raw topic is taken to hold: times by symbol and content, and the clocks' difference."""
    found = RetainedTrades({}, 0, 0)

    class RetainedReader:
        def __init__(self, exchange, settings, start, connection):
            pass

        async def read(self):
            return found

    monkeypatch.setattr(outages, "RetainedReader", RetainedReader)
    return found


async def test_an_outage_is_asked_for_by_symbol_and_page(raw_topic):
    times = range(LONG_AGO - 1000, LONG_AGO, 2)
    trades = {"XBT/USD": kraken(*times), "ETH/USD": []}
    work, publisher = task(exchanges.get("kraken"), trades, most=1000)
    await outages.fill(work, connected(LONG_AGO - 500))
    found = published(publisher, "kraken")
    assert len(found) == 500
    assert [(answer.symbol, answer.count, answer.connection) for answer in answers(publisher)] == [
        ("XBT/USD", 500, "kraken-1"),
        ("ETH/USD", 0, "kraken-1"),
    ]
    (record, *_) = publisher.topics[topics.raw("kraken")]
    assert record.partition == topics.partition_of("XBT/USD", 3) and record.key == b"XBT/USD"


async def test_an_outage_is_asked_for_from_a_margin_before_it_to_a_margin_after_it(raw_topic, monkeypatch):
    """Trades on their way when the connection came up belong to neither connection; REST may be late too."""
    waited = []

    async def settle(self, time_us, margins):
        waited.append((time_us, margins))

    monkeypatch.setattr(Task, "settle", settle)
    margin, since = 1000, LONG_AGO - 500_000
    times = [since - margin - 1, since - margin, LONG_AGO + margin, LONG_AGO + margin + 1]
    work, publisher = task(exchanges.get("kraken"), {"XBT/USD": kraken(*times)})
    await outages.fill(work, connected(since))
    found = [json.loads(record["time"].replace(".", "")) for record in published(publisher, "kraken")]
    assert found == times[1:3] and waited == [(LONG_AGO, 2)]


@pytest.mark.parametrize("together", [1, 3, 999])
async def test_pages_that_end_amid_trades_of_one_time_lose_none(raw_topic, together):
    times = [LONG_AGO - 100 + number // together for number in range(2500)]
    work, _ = task(exchanges.get("kraken"), {"XBT/USD": kraken(*times)})
    start, end = LONG_AGO - 1000, LONG_AGO + 10_000
    fetched = await outages._fetched(work, "XBT/USD", TradeSpan(start, end + 1), raw_topic)
    assert [item.id for item in fetched.trades] == list(range(2500))


async def test_a_trade_that_rest_never_tells_does_not_keep_all_other_outages_waiting():
    """Of a symbol that trades no more nothing ever comes after it."""
    past = LONG_AGO - 10
    work, _ = task(exchanges.get("kraken"), {"XBT/USD": kraken(past - 9)})
    told_live = RetainedTrades({"XBT/USD": {("any",): [past - 3]}}, 0, 0)
    assert (await outages._fetched(work, "XBT/USD", TradeSpan(past - 10, past), told_live)).rows == 1


async def test_an_outage_is_asked_for_until_rest_has_reached_what_the_feed_reported(monkeypatch):
    monkeypatch.setattr(outages, "AGAIN_SECONDS", 0)
    everything = kraken(*range(LONG_AGO - 10, LONG_AGO + 3))
    work, _ = task(exchanges.get("kraken"), {"XBT/USD": everything[:1]})
    asked = []

    async def fetch(request, ask=work.client.fetch):
        asked.append(request)
        work.client.trades["XBT/USD"] = everything[: 1 + len(asked)]
        return await ask(request)

    work.client.fetch = fetch
    told_live = RetainedTrades({"XBT/USD": {("any",): [LONG_AGO - 5, LONG_AGO - 3]}}, 0, 0)
    fetched = await outages._fetched(work, "XBT/USD", TradeSpan(LONG_AGO - 10, LONG_AGO), told_live)
    assert fetched.trades[-1].time >= LONG_AGO - 3
    # What it told live and never over REST is waited for until REST tells something later.
    never = RetainedTrades({"XBT/USD": {("any",): [LONG_AGO - 1]}}, 0, 0)
    everything = [item for item in everything if item.time != LONG_AGO - 1]
    asked.clear()
    assert (await outages._fetched(work, "XBT/USD", TradeSpan(LONG_AGO - 10, LONG_AGO), never)).rows == 9


@pytest.mark.parametrize("now", [LONG_AGO - 600_000_000, LONG_AGO + 1, NOW])
async def test_nothing_is_waited_for_longer_because_our_clock_went_back(now, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(task_module, "asyncio", SimpleNamespace(sleep=sleep))
    work, _ = task(exchanges.get("kraken"), {})
    work = dataclasses.replace(work, now_us=lambda: now)
    await work.settle(LONG_AGO, 2)
    assert waited[0] <= 2 * work.margin_us / 1e6
    now += 600_000_000
    monkeypatch.setattr(task_module, "time", SimpleNamespace(monotonic=iter([7, 7, 68]).__next__))
    is_old = work.patience(now, ids.PATIENCE_US)
    assert not is_old()
    assert is_old()


async def test_the_first_connection_ever_asks_nothing(raw_topic):
    work, publisher = task(exchanges.get("kraken"), {"XBT/USD": kraken(LONG_AGO)})
    await outages.fill(work, connected(0))
    await outages.fill(work, connected(LONG_AGO))  # the last of its symbols is subscribed
    assert not work.client.asked and not publisher.topics


async def test_only_the_last_day_is_fetched_and_that_is_said(raw_topic):
    day = outages.MOST_US
    trades = {"XBT/USD": kraken(LONG_AGO - day - 1, LONG_AGO - day + 1)}
    work, publisher = task(exchanges.get("kraken"), trades)
    await outages.fill(work, connected(LONG_AGO - 2 * day))
    assert len(published(publisher, "kraken")) == 1
    assert answers(publisher)[0].detail == "only the last 24 of 48.0 h are fetched"


async def test_one_symbol_that_is_refused_does_not_cost_the_others(raw_topic):
    trades = {"NO/PAIR": HistoryError("EQuery:Unknown asset pair", final=True), "XBT/USD": kraken(LONG_AGO)}
    work, publisher = task(exchanges.get("kraken"), trades)
    await outages.fill(work, connected(LONG_AGO - 5))
    assert [answer.count for answer in answers(publisher)] == [0, 1]
    assert "Unknown asset pair" in answers(publisher)[0].detail


async def test_the_outage_of_a_symbol_is_asked_for_that_symbol(raw_topic):
    trades = {name: kraken(LONG_AGO - 400, symbol=name) for name in ("XBT/USD", "ETH/USD")}
    work, publisher = task(exchanges.get("kraken"), trades)
    event = msgspec.structs.replace(connected(LONG_AGO - 500), kind=EventKind.SUBSCRIBED, symbol="ETH/USD")
    await outages.fill(work, event)
    assert [record["pair"] for record in published(publisher, "kraken")] == ["ETH/USD"]
    assert [(answer.symbol, answer.count) for answer in answers(publisher)] == [("ETH/USD", 1)]
    other = msgspec.structs.replace(event, symbol="XBT/USD")
    assert outages.join(event, event, 5) == event
    assert outages.join(event, other, 5) is None
    assert outages.join(event, connected(LONG_AGO - 500), 5) is None


def test_a_symbol_is_down_since_its_last_word_until_an_event_ends_that():
    def event(kind, time, symbol="", since=0):
        return FeedEvent(kind=kind, exchange="kraken", time=time, symbol=symbol, since=since)

    kinds, symbols = EventKind, ["A", "B", "C"]
    fetched = [
        event(kinds.REFUSED, 1, "C"),
        event(kinds.SUBSCRIBED, 2, "A"),
        event(kinds.SUBSCRIBED, 2, "B"),
        event(kinds.WITHDRAWN, 5, "B", 4),
        event(kinds.DISCONNECTED, 9, since=7),
        event(kinds.DUPLICATE, 9, "A", 9),
    ]
    assert down_since(fetched, symbols) == {"A": 7, "B": 4, "C": 0}
    assert down_since([*fetched, event(kinds.SUBSCRIBED, 10, "B", 4)], symbols) == {"A": 7, "C": 0}
    assert down_since([*fetched, event(kinds.CONNECTED, 10, since=7)], symbols) == {}
    assert down_since([event(kinds.SILENCE, 3), event(kinds.DISCONNECTED, 4)], ["A"]) == {"A": 3}


def test_outages_that_touch_are_one_and_others_are_not():
    first, second = connected(10, 20), connected(25, 30)
    assert outages.join(first, second, 5) == connected(10, 30)
    assert outages.join(first, connected(31, 40), 5) is None
    assert outages.join(connected(0, 20), second, 5) is None
    assert outages.join(gap(1, 2), gap(3, 4), 5) is None


def test_events_keep_what_they_say():
    event = gap(1, 2, numbering="agg")
    assert msgspec.json.decode(events.encode(event), type=FeedEvent) == event
