"""`/ws` and `/stream`: requests, names, and what streams send."""

import asyncio
import json
from contextlib import aclosing
from decimal import Decimal

import pytest

from k2stream import instruments
from k2stream.history.reader import MissingTier
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror import names, payloads
from k2stream.service.mirror.broadcast import Broadcast
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.payloads import PolledTrades, StreamPayloads, changed
from k2stream.service.mirror.session import Session
from k2stream.service.mirror.sockets import MOST_WAITING, StreamConnection
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from k2stream.web.query import RequestError
from tests.unit.service.memory import InMemory, TradesInMemory, candle

MINUTE = 60_000
LISTED = instruments.load(make().feeds.instruments_file)


def stream(text, exchange="binance"):
    return names.parse(text, LISTED, exchange)


def session(combined=False):
    return Session(stream, combined)


def asked(made, method, params=None, number=1):
    request = {"method": method, "id": number} | ({} if params is None else {"params": params})
    return json.loads(made.answer(json.dumps(request)))


def test_subscriptions_are_made_listed_and_ended():
    made = session()
    assert asked(made, "SUBSCRIBE", ["btcusdt@trade", "btcusdt@kline_4h"]) == {"result": None, "id": 1}
    assert asked(made, "LIST_SUBSCRIPTIONS", number="a") == {
        "result": ["btcusdt@trade", "btcusdt@kline_4h"],
        "id": "a",
    }
    assert asked(made, "UNSUBSCRIBE", ["btcusdt@trade"]) == {"result": None, "id": 1}
    assert list(made.streams) == ["btcusdt@kline_4h"]


def test_messages_name_their_stream_if_it_is_asked_for():
    made = session()
    assert asked(made, "GET_PROPERTY", ["combined"])["result"] is False
    assert asked(made, "SET_PROPERTY", ["combined", True])["result"] is None
    assert made.combined
    assert asked(made, "SET_PROPERTY", ["combined", "x"])["error"]["code"] == 1
    assert asked(made, "SET_PROPERTY", ["x", True])["error"] == {"code": 0, "msg": "Unknown property"}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{", 3, "Invalid JSON: "),
        ("[]", 2, "missing field `method`"),
        ('{"method":"X","id":1}', 2, "unknown variant X, expected one of `SUBSCRIBE`"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "request ID must be"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "params must be an array of strings"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@depth"],"id":1}', 2, "K2 has no stream depth"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@kline_1s"],"id":1}', 2, "K2 has no stream kline_1s"),
    ],
)
def test_wrong_requests_get_the_codes_of_the_api(text, code, said):
    answer = json.loads(session().answer(text))
    assert answer["error"]["code"] == code
    assert said in answer["error"]["msg"]


def test_a_symbol_that_does_not_exist_is_acknowledged_and_sends_nothing():
    made = session()
    assert asked(made, "SUBSCRIBE", ["nothing@trade"]) == {"result": None, "id": 1}
    assert made.streams == {"nothing@trade": None}


def test_five_messages_in_a_second_are_allowed():
    made = session()
    assert [made.too_fast(time) for time in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.45)] == [False] * 5 + [True, False]


@pytest.mark.parametrize(
    ("text", "timeframe", "zone"),
    [
        ("btcusdt@kline_3m", "3m", "UTC"),
        ("btcusdt@kline_1M", "1M", "UTC"),
        ("btcusdt@kline_1d@+08:00", "1d", "Etc/GMT-8"),
    ],
)
def test_a_kline_stream_has_a_timeframe(text, timeframe, zone):
    found = stream(text)
    assert found
    assert found.timeframe
    assert (found.timeframe.name, found.timeframe.zone.key) == (timeframe, zone)


def test_other_exchanges_have_symbols_of_their_own():
    found = stream("btcusd@aggTrade", "kraken")
    assert found
    assert found.instrument.symbol == "XBT/USD"
    assert stream("0") is None


def test_a_name_that_is_no_symbol_is_not_spelled_into_messages():
    assert stream('btc"usdt@trade') is None


def test_a_stream_of_what_k2_cannot_know_is_refused():
    with pytest.raises(MirrorError, match="K2 has no stream bookTicker"):
        stream("btcusdt@bookTicker")


def test_candles_are_sent_when_they_changed_and_the_first_time_only_the_newest():
    first, second = (candle(LISTED[0], "1m", MINUTE * at) for at in (1, 2))
    sent = {}
    assert changed([first, second], sent) == [second]
    assert changed([first, second], sent) == []
    final = second._replace(final=True, revision=2)
    third = candle(LISTED[0], "1m", MINUTE * 3)
    assert changed([final, third], sent) == [final, third]


class Noticed(TradesInMemory):
    def __init__(self):
        super().__init__()
        self.twice = asyncio.Event()

    async def read(self, instrument, page):
        if self.asked:
            self.twice.set()
        return await super().read(instrument, page)


@pytest.fixture
def sources():
    return Sources(make(), LISTED, InMemory(), FeedHealth(), lambda: True, trades=Noticed())


def made_of(sources):
    return StreamPayloads(sources, PolledTrades(sources), lambda: 5)


def trade(number):
    return NumberedTrade(number, number, number, number * 1000, Decimal("2"), Decimal("3"), True)


async def first_of(found, count):
    async with aclosing(found) as items, asyncio.timeout(60):
        return [await anext(items) for _ in range(count)]


async def test_trades_are_sent_from_now_on_once_each(sources, monkeypatch):
    monkeypatch.setattr(payloads, "POLL_SECONDS", 0.01)
    wanted = stream("btcusdt@trade")
    held = sources.trades.answers[wanted.instrument.key] = [trade(7)]
    found = made_of(sources).of(wanted)
    task = asyncio.create_task(first_of(found, 2))
    async with asyncio.timeout(60):
        await sources.trades.twice.wait()
    held += [trade(8), trade(9)]
    assert await task == [
        {
            "e": "trade",
            "E": 5,
            "s": "BTCUSDT",
            "t": number,
            "p": "2.00000000",
            "q": "3.00000000",
            "T": number,
            "m": False,
            "M": True,
        }
        for number in (8, 9)
    ]


async def test_a_kline_has_the_fields_of_the_api(sources):
    wanted = stream("btcusdt@kline_1m")
    sources.candles.answers[wanted.instrument.key, "1m"] = [candle(wanted.instrument, "1m", MINUTE)]
    (event,) = await first_of(made_of(sources).of(wanted), 1)
    assert list(event) == ["e", "E", "s", "k"]
    assert "".join(event["k"]) == "tTsifLochlvnxqVQB"
    assert event["k"]["i"] == "1m"
    assert (event["k"]["o"], event["k"]["n"], event["k"]["x"]) == ("2.00000000", 2, False)


async def test_a_kline_is_not_folded_of_what_may_lack_parts(sources):
    wanted = stream("btcusdt@kline_4h")
    sources.candles.answers[wanted.instrument.key, "4h"] = [candle(wanted.instrument, "1h", 0)]
    sources.candles.missing = (MissingTier("ClickHouse", "away"),)
    with pytest.raises(RequestError, match="ClickHouse does not have all candles"):
        await first_of(made_of(sources).of(wanted), 1)


async def test_a_mini_ticker_has_the_fields_of_the_api(sources):
    wanted = stream("btcusdt@miniTicker")
    sources.candles.answers[wanted.instrument.key, "1m"] = [candle(wanted.instrument, "1m", -MINUTE * 2000)]
    (event,) = await first_of(made_of(sources).of(wanted), 1)
    assert "".join(event) == "eEscohlvq"
    assert event["c"] == "2.50000000"


class Collected:
    def __init__(self):
        self.got, self.more = [], asyncio.Event()

    def put(self, name, payload):
        self.got.append((name, json.loads(payload)))
        self.more.set()


async def test_a_stream_is_made_once_for_all_and_ends_with_the_last():
    running, ended = [], asyncio.Event()

    async def numbers(of):
        running.append(of.text)
        try:
            yield {"n": 1}
            await asyncio.Event().wait()
        finally:
            running.remove(of.text)
            ended.set()

    broadcast, one, two = Broadcast(numbers), Collected(), Collected()
    wanted = {"btcusdt@trade": stream("btcusdt@trade")}
    broadcast.update(one, {}, wanted)
    broadcast.update(two, {}, wanted)
    await asyncio.wait_for(one.more.wait(), 60)
    assert (one.got, two.got, running) == ([("btcusdt@trade", {"n": 1})],) * 2 + (["btcusdt@trade"],)
    broadcast.update(one, wanted, {})
    await asyncio.sleep(0)
    assert running
    broadcast.update(two, wanted, {})
    async with asyncio.timeout(60):
        await ended.wait()
    assert not running


def test_a_client_that_does_not_read_is_sent_nothing_more():
    connection = StreamConnection(session(combined=True))
    connection.put("a@trade", b"{}")
    assert connection.waiting.get_nowait() == b'{"stream":"a@trade","data":{}}'
    for _ in range(MOST_WAITING + 1):
        connection.put("a@trade", b"{}")
    assert connection.waiting.get_nowait() is None
    assert connection.waiting.empty()
