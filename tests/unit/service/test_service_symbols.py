"""`/v1/symbols` and `/v1/spreads`: one look at the tables, exact prices."""

import time
from decimal import Decimal

import pytest

from k2stream.model.events import EventKind, FeedEvent
from k2stream.service.mirror.values import rounded
from k2stream.service.overview import percent
from k2stream.web.query import RequestError
from tests.unit.service.memory import candle

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def several(listed):
    by = {}
    for item in listed:
        by.setdefault(item.canonical, []).append(item)
    return next(found for found in by.values() if len(found) > 1)


@pytest.fixture
def now():
    return time.time_ns() // 1_000_000


def fill(stored, item, now, close):
    minute, hour = now // MINUTE * MINUTE, now // HOUR * HOUR
    stored.answers[item.key, "1m"] = [candle(item, "1m", minute - at * MINUTE, close) for at in (1, 0)]
    stored.answers[item.key, "1h"] = [candle(item, "1h", hour - at * HOUR, close) for at in (23, 0)]


async def test_a_symbol_at_a_glance(client, stored, listed, now):
    fill(stored, listed[0], now, "2.500000000000000001")
    answer = (await client.get("/v1/symbols")).json()
    assert [each["native_symbol"] for each in answer["symbols"]] == [item.symbol for item in listed]
    first, other = answer["symbols"][0], answer["symbols"][1]
    assert (first["last_price"], first["price_digits"]) == ("2.500000000000000001", 18)
    assert (first["open"], first["high"], first["low"]) == ("2", "3", "1.5")
    assert (first["change"], first["change_percent"]) == ("0.500000000000000001", "25.00")
    assert (first["volume"], first["trade_count"], first["feed_healthy"]) == ("4", 4, True)
    assert [close for _, close in first["sparkline"]] == ["2.500000000000000001"] * 2
    assert first["trades_per_second"] > 0
    assert (other["last_price"], other["change"], other["sparkline"]) == (None, None, [])


async def test_a_change_is_of_as_long_as_there_are_trades(client, stored, listed, now):
    item, hour = listed[0], now // HOUR * HOUR
    began = now - 4 * MINUTE
    stored.answers[item.key, "1m"] = [candle(item, "1m", now // MINUTE * MINUTE, "2.5")]
    first = candle(item, "1h", hour, "2.5")._replace(first_trade_time=began * 1000)
    stored.answers[item.key, "1h"] = [first]
    answer = (await client.get("/v1/symbols")).json()
    assert answer["symbols"][0]["span_ms"] == answer["time"] - began
    assert answer["symbols"][1]["span_ms"] is None


async def test_the_digits_of_prices_are_those_of_any_price(client, stored, listed, now):
    item, minute = listed[0], now // MINUTE * MINUTE
    found = candle(item, "1m", minute, "2.5")._replace(low=Decimal("1.125"))
    stored.answers[item.key, "1m"] = [found]
    answer = (await client.get("/v1/symbols")).json()
    assert (answer["symbols"][0]["last_price"], answer["symbols"][0]["price_digits"]) == ("2.5", 3)


async def test_symbols_of_one_exchange_or_spelling(client, listed):
    answer = (await client.get("/v1/symbols", params={"exchange": listed[0].exchange})).json()
    assert {each["exchange"] for each in answer["symbols"]} == {listed[0].exchange}
    name = listed[0].canonical.replace("/", "").lower()
    answer = (await client.get("/v1/symbols", params={"symbol": name})).json()
    assert {each["symbol"] for each in answer["symbols"]} == {listed[0].canonical}
    assert (await client.get("/v1/symbols", params={"exchange": "nowhere"})).status_code == 404


async def test_a_look_is_used_again_within_a_second(client, stored, listed):
    for _ in range(3):
        await client.get("/v1/symbols")
    assert len(stored.asked) == 2 * len(listed)


async def test_a_symbol_whose_worker_does_not_answer(client, stored):
    stored.error = RequestError(503, "no worker has partition 3 now, ask again")
    answer = (await client.get("/v1/symbols")).json()
    assert answer["symbols"][0]["unavailable"] == "no worker has partition 3 now, ask again"


async def test_spreads_are_exact_and_cut_off(client, stored, several, now):
    for item, close in zip(several, ("3.000000001", "3.1", "3.05"), strict=False):
        fill(stored, item, now, close)
    (spread,) = (await client.get("/v1/spreads", params={"symbol": several[0].canonical})).json()["spreads"]
    assert (spread["lowest"], spread["highest"]) == (several[0].exchange, several[1].exchange)
    assert (spread["spread"], spread["spread_bps"]) == ("0.099999999", "333.3333")
    answer = (await client.get("/v1/symbols", params={"symbol": several[0].canonical})).json()
    assert {each["spread_bps"] for each in answer["symbols"]} == {"333.3333"}


async def test_the_price_of_a_feed_that_is_down_is_not_compared(client, stored, health, several, now):
    for item, close in zip(several, ("3", "4", "3.5"), strict=False):
        fill(stored, item, now, close)
    name = several[1].exchange
    health.add(FeedEvent(kind=EventKind.DISCONNECTED, exchange=name, time=(now - MINUTE) * 1000))
    (spread,) = (await client.get("/v1/spreads", params={"symbol": several[0].canonical})).json()["spreads"]
    compared = {each["exchange"]: each["compared"] for each in spread["prices"]}
    assert compared[name] is False
    assert name not in (spread["lowest"], spread["highest"])


@pytest.mark.parametrize(
    ("change", "shown"), [("-0.004", "0.00"), ("0", "0.00"), ("-0.006", "-0.01"), ("-50", "-50.00")]
)
def test_a_change_that_rounds_to_zero_has_no_sign(change, shown):
    assert percent(Decimal(change), Decimal(100)) == shown
    assert rounded(Decimal(change), 2) == shown
