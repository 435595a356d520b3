"""`/v1/quality` and `/v1/agreement`: what is asked of the store, and what is said of its answer."""

import msgspec
import pytest

from k2stream.clickhouse import quality as counted
from k2stream.clickhouse.agreement import KlineDifference
from k2stream.clickhouse.quality import DayCount
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Continuity
from k2stream.model.events import EventKind, FeedEvent
from k2stream.service import quality

DAY = 20_000
SECOND = 1_000_000


@pytest.fixture
def asked(monkeypatch, listed):
    made = []

    def days(settings, start, end, exchange, canonical):
        made.append((end - start, exchange, canonical))
        return [
            DayCount(item.exchange, item.symbol, item.canonical, DAY, 9, 9, 2, 9, 12, 7) for item in listed
        ]

    monkeypatch.setattr(counted, "days", days)
    return made


async def test_a_day_of_a_symbol(client, asked, listed, health):
    item = next(item for item in listed if REGISTRY[item.exchange].continuity is Continuity.CONTIGUOUS)
    of = {"exchange": item.exchange, "symbol": item.symbol}
    begin = DAY * quality.DAY_US
    health.add(FeedEvent(kind=EventKind.DUPLICATE, time=begin + 1, **of))
    health.add(FeedEvent(kind=EventKind.REFUSED, time=begin + 10 * SECOND, **of))
    health.add(FeedEvent(kind=EventKind.SUBSCRIBED, time=begin + 15 * SECOND, **of))
    answer = (await client.get("/v1/quality")).json()
    (day,) = (
        each
        for each in answer["days"]
        if (each["exchange"], each["native_symbol"]) == (item.exchange, item.symbol)
    )
    assert (day["day"], day["trades"], day["filled"], day["late"]) == ("2024-10-04", 9, 2, 2)
    assert (day["expected_ids"], day["missing"]) == (12, 3)
    assert (day["duplicates"], day["feed_down_seconds"]) == (1, 5.0)
    assert asked == [(2, "", "")]


async def test_an_exchange_without_ids_expects_none(client, asked, listed):
    item = next(item for item in listed if REGISTRY[item.exchange].continuity is Continuity.NONE)
    answer = (await client.get("/v1/quality", params={"exchange": item.exchange})).json()
    (day,) = (each for each in answer["days"] if each["native_symbol"] == item.symbol)
    assert (day["expected_ids"], day["missing"]) == (None, None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/quality?exchange=nowhere", 404),
        ("/v1/quality?symbol=XXX-YYY", 404),
        ("/v1/quality?start=0&end=2026-01-01", 400),
        ("/v1/agreement?timeframe=4h", 404),
        ("/v1/agreement?limit=1001", 400),
    ],
)
async def test_what_cannot_be_answered(client, asked, path, status):
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_without_a_store_the_answer_is_a_problem(client, caplog):
    for path in ("/v1/quality", "/v1/agreement"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Traceback" not in caplog.text


def test_a_difference_as_it_is_answered():
    found = KlineDifference("x", "BTCUSD", "BTC/USD", "1m", 60_000, 7, 5, ["close"], ["1"], ["2"], ["a gap"])
    assert msgspec.to_builtins(quality.difference_item(found)) == {
        "exchange": "x",
        "symbol": "BTC/USD",
        "native_symbol": "BTCUSD",
        "timeframe": "1m",
        "open_time": 60_000,
        "revision": 7,
        "checked_time": 5,
        "fields": ["close"],
        "ours": ["1"],
        "theirs": ["2"],
        "explanation": ["a gap"],
    }
