"""`/api/v3`: field for field what the mirrored API sends."""

from decimal import Decimal

import pytest

from k2stream.history.reader import MissingTier
from k2stream.history.trades import TradePage
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror import rest, weights
from k2stream.service.trades import TOPIC
from k2stream.web.query import RequestError
from tests.unit.service.memory import candle

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 20_000 * DAY + 90 * MINUTE + 1


def trade(number, ms, taker_buy=True):
    return NumberedTrade(number, number, number, ms * 1000 + 999, Decimal("2.5"), Decimal("0.5"), taker_buy)


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(rest, "now_ms", lambda: NOW)


@pytest.fixture
def first(listed):
    return listed.find("binance", "BTCUSDT")


@pytest.fixture(autouse=True)
def _candles(stored, first):
    stored.answers[first.key, "1m"] = [
        candle(first, "1m", NOW // MINUTE * MINUTE - MINUTE * at) for at in (1500, 1400, 2, 1, 0)
    ]
    stored.answers[first.key, "1h"] = [candle(first, "1h", NOW // HOUR * HOUR - HOUR * at) for at in (2, 0)]


async def test_ping_and_time(client):
    assert (await client.get("/api/v3/ping")).json() == {}
    assert (await client.get("/api/v3/time")).json() == {"serverTime": NOW}


async def test_a_kline_is_an_array_of_twelve(client, stored):
    answer = await client.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m", "limit": 1})
    opened = NOW // MINUTE * MINUTE
    assert answer.json() == [
        [
            *(opened, "2.00000000", "3.00000000", "1.50000000", "2.50000000", "2.00000000"),
            *(opened + MINUTE - 1, "5.00000000", 2, "1.00000000", "2.50000000", "0"),
        ]
    ]
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    ((_, of, query),) = stored.asked
    assert (of.name, query.fill) == ("1m", "prev")


async def test_a_value_of_more_digits_keeps_them(client, stored, first):
    fine = candle(first, "1m", MINUTE)._replace(volume=Decimal("0.0000000012"))
    stored.answers[first.key, "1m"] = [fine]
    (kline,) = (await client.get("/api/v3/uiKlines?symbol=BTCUSDT&interval=1m")).json()
    assert kline[5] == "0.0000000012"


@pytest.mark.parametrize(
    ("sent", "start", "end", "limit"),
    [
        ("", None, None, 500),
        ("&startTime=5&endTime=9", 5, 10, 500),
        ("&startTime=1700000000000000&limit=5000", 1_700_000_000_000, None, 1000),
    ],
)
async def test_both_ends_are_included_and_times_may_be_in_us(client, stored, sent, start, end, limit):
    await client.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1m{sent}")
    ((_, _, query),) = stored.asked
    assert (query.start, query.end, query.limit) == (start, end, limit)


async def test_an_end_before_the_start_has_no_klines(client, stored):
    answer = await client.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=9&endTime=5")
    assert (answer.json(), stored.asked) == ([], [])


@pytest.mark.parametrize(("sent", "zone"), [("0", "UTC"), ("8", "Etc/GMT-8"), ("-3:00", "Etc/GMT+3")])
async def test_a_time_zone_is_hours_east(client, stored, sent, zone):
    await client.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1d", "timeZone": sent})
    ((_, of, _),) = stored.asked
    assert of.zone.key == zone


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("klines?interval=1m", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null"),
        ("klines?symbol=BTCUSDT", -1102, "Mandatory parameter 'interval' was not sent"),
        ("klines?symbol=btcusdt&interval=1m", -1100, "found in parameter 'symbol'; legal range is '^[A-Z0-9"),
        ("klines?symbol=NONE&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("klines?symbol=BTCUSDT&interval=1m&limit=x", -1100, "'limit'; legal range is '^[0-9]{1,20}$'."),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=-1", -1100, "'startTime'; legal range"),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=15", -1130, "'timeZone' is not valid."),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=5:45", -1020, "timeZone takes whole hours"),
        ("klines?symbol=BTCUSDT&interval=1m&a=1&b=2", -1104, "read '2' parameter(s) but was sent '4'."),
        ("klines?symbol=BTCUSDT&symbol=A&interval=1m", -1101, "Duplicate values for a parameter detected."),
        ("klines?symbol=&interval=1m", -1105, "Parameter 'symbol' was empty."),
        ('ticker/price?symbols=["A","A"]', -1151, "Symbol is present multiple times in the list."),
        ("ticker/price?symbols=A", -1100, "Illegal characters found in parameter 'symbols'"),
        ('ticker/price?symbol=A&symbols=["A"]', -1128, "Combination of optional parameters invalid."),
        ("ticker/24hr?type=X", -1139, "Invalid ticker type."),
        ("ticker/bookTicker", -1020, "no best bid and ask"),
        ("depth?symbol=BTCUSDT", -1020, "no order book"),
        ("account?timestamp=1", -1020, "no orders and no accounts"),
    ],
)
async def test_refusals_have_the_codes_and_messages_of_the_api(client, path, code, said):
    answer = await client.get(f"/api/v3/{path}")
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert said in answer.json()["msg"]
    assert list(answer.json()) == ["code", "msg"]
    assert "x-mbx-used-weight-1m" in answer.headers


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_orders_are_refused(client, method):
    answer = await client.request(method, "/api/v3/order", params={"symbol": "BTCUSDT"})
    assert (answer.status_code, answer.json()["code"]) == (400, -1020)
    assert "no orders" in answer.json()["msg"]


async def test_every_exchange_has_its_own_prefix(client, listed, stored):
    root = (await client.get("/api/v3/exchangeInfo")).json()
    assert (await client.get("/binance/api/v3/exchangeInfo")).json() == root
    other = (await client.get("/kraken/api/v3/exchangeInfo")).json()
    assert [each["symbol"] for each in other["symbols"]][:2] == ["BTCUSD", "ETHUSD"]
    await client.get("/kraken/api/v3/klines?symbol=BTCUSD&interval=1m")
    assert stored.asked[-1][0] == listed.find("kraken", "XBT/USD")
    unknown = await client.get("/nowhere/api/v3/ping")
    assert (unknown.status_code, unknown.json()["code"]) == (404, -1020)


async def test_exchange_info_lists_symbols_and_the_limit(client):
    info = (await client.get("/api/v3/exchangeInfo?symbol=BTCUSDT")).json()
    assert list(info) == ["timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"]
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    assert info["rateLimits"] == [limit]
    (symbol,) = info["symbols"]
    assert (symbol["symbol"], symbol["baseAsset"], symbol["quoteAsset"]) == ("BTCUSDT", "BTC", "USDT")
    assert symbol["status"] == "TRADING"


async def test_prices_of_one_some_and_all_symbols(client):
    price = {"symbol": "BTCUSDT", "price": "2.50000000"}
    assert (await client.get("/api/v3/ticker/price?symbol=BTCUSDT")).json() == price
    assert (await client.get('/api/v3/ticker/price?symbols=["BTCUSDT"]')).json() == [price]
    assert (await client.get("/api/v3/ticker/price")).json() == [price]
    none = await client.get("/api/v3/ticker/price?symbol=ETHUSDT")
    assert (none.status_code, none.json()["code"]) == (503, -1020)


async def test_the_day_is_of_minutes_until_the_hour_and_of_hours_after(client, traded, first):
    traded.answers[first.key] = [trade(6, NOW - 2 * DAY), trade(7, NOW - DAY), trade(9, NOW)]
    (day,) = (await client.get("/api/v3/ticker/24hr")).json()
    one = (await client.get("/api/v3/ticker/24hr?symbol=BTCUSDT")).json()
    assert one == day
    assert day == {
        "symbol": "BTCUSDT",
        "priceChange": "0.50000000",
        "priceChangePercent": "25.000",
        "weightedAvgPrice": "2.50000000",
        "prevClosePrice": "2.50000000",
        "lastPrice": "2.50000000",
        "lastQty": "0.50000000",
        "bidPrice": "0.00000000",
        "bidQty": "0.00000000",
        "askPrice": "0.00000000",
        "askQty": "0.00000000",
        "openPrice": "2.00000000",
        "highPrice": "3.00000000",
        "lowPrice": "1.50000000",
        "volume": "4.00000000",
        "quoteVolume": "10.00000000",
        "openTime": NOW // MINUTE * MINUTE - DAY,
        "closeTime": NOW,
        "firstId": 7,
        "lastId": 9,
        "count": 4,
    }
    assert list(day)[-4:] == ["closeTime", "firstId", "lastId", "count"]
    mini = (await client.get("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")).json()
    assert mini.items() <= day.items()
    assert len(mini) == 12


async def test_weights_are_counted_and_the_limit_is_a_429(client, monkeypatch):
    monkeypatch.setattr(weights, "LIMIT", 84)
    assert (await client.get("/api/v3/ticker/24hr")).headers["x-mbx-used-weight"] == "80"
    await client.get("/api/v3/klines?symbol=BTCUSDT&interval=1m")
    answer = await client.get("/api/v3/ticker/price")
    assert (answer.status_code, answer.json()["code"]) == (429, -1003)
    assert "current limit is 84 request weight per 1 MINUTE." in answer.json()["msg"]
    assert answer.headers["retry-after"] == "60"
    assert answer.headers["x-mbx-used-weight"] == "82"


def test_weights_begin_again_at_each_full_minute():
    now = [59_999]
    counted = weights.Weights(lambda: now[0])
    counted.add("a", 6000)
    now[0] = 60_000
    counted.add("a", 1)
    assert counted.headers("a")["X-MBX-USED-WEIGHT-1M"] == "1"


async def test_a_worker_that_recovers_and_a_fault_of_ours(client, stored, caplog):
    path = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
    stored.error = RequestError(503, "the tables of this worker are recovering, ask again")
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, -1001, "1")
    stored.error = ValueError("the secret")
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (500, -1000)
    assert "secret" not in answer.text
    assert "the secret" in caplog.text


async def test_a_trade_has_the_fields_of_the_api(client, traded, first):
    traded.answers[first.key] = [trade(7, 1000), trade(8, 2000, taker_buy=False)]
    answer = await client.get("/api/v3/trades?symbol=BTCUSDT&limit=1")
    assert answer.json() == [
        {
            "id": 8,
            "price": "2.50000000",
            "qty": "0.50000000",
            "quoteQty": "1.25000000",
            "time": 2000,
            "isBuyerMaker": True,
            "isBestMatch": True,
        }
    ]
    assert answer.headers["x-mbx-used-weight"] == "25"


async def test_an_aggregated_trade_has_the_fields_of_the_api(client, traded, first):
    traded.answers[first.key] = [trade(7, 1000)._replace(first=70, last=75)]
    (found,) = (await client.get("/api/v3/aggTrades?symbol=BTCUSDT")).json()
    assert found == {
        "a": 7,
        "p": "2.50000000",
        "q": "0.50000000",
        "f": 70,
        "l": 75,
        "T": 1000,
        "m": False,
        "M": True,
    }


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        ("trades?symbol=BTCUSDT", TradePage(500, recent=True)),
        ("historicalTrades?symbol=BTCUSDT&fromId=8&limit=3", TradePage(3, from_id=8, recent=True)),
        (
            "historicalTrades?symbol=BTCUSDT&fromId=" + "9" * 20,
            TradePage(500, from_id=2**63 - 1, recent=True),
        ),
        ("aggTrades?symbol=BTCUSDT&startTime=5&endTime=9", TradePage(500, 5000, 10_000)),
        ("aggTrades?symbol=BTCUSDT&endTime=9", TradePage(500, None, 10_000)),
        ("aggTrades?symbol=BTCUSDT&fromId=8", TradePage(500, from_id=8)),
    ],
)
async def test_trades_are_asked_for_by_id_or_time(client, traded, first, asked, page):
    await client.get(f"/api/v3/{asked}")
    assert traded.asked == [(first, page)]


@pytest.mark.parametrize(("tier", "status"), [("ClickHouse", 503), (TOPIC, 200)])
async def test_trades_without_a_store_are_unavailable(client, traded, tier, status):
    traded.missing = (MissingTier(tier, "away"),)
    assert (await client.get("/api/v3/trades?symbol=BTCUSDT")).status_code == status


@pytest.mark.parametrize(
    "path", ["klines?symbol=BTCUSDT&interval=1m", "ticker/24hr?symbol=BTCUSDT", "ticker/price"]
)
async def test_candles_that_may_lack_some_are_unavailable(client, stored, path):
    stored.missing = (MissingTier("ClickHouse", "away"),)
    answer = await client.get(f"/api/v3/{path}")
    assert (answer.status_code, answer.json()["code"]) == (503, -1001)
    assert "ClickHouse does not have all candles" in answer.json()["msg"]


async def test_an_id_and_a_time_are_not_asked_for_together(client):
    answer = await client.get("/api/v3/aggTrades?symbol=BTCUSDT&fromId=8&startTime=5")
    assert answer.json() == {"code": -1128, "msg": "Combination of optional parameters invalid."}
    nothing = await client.get("/api/v3/aggTrades?symbol=BTCUSDT&startTime=5&endTime=4")
    assert nothing.json() == []


@pytest.mark.parametrize("prefix", ["", "/kraken"])
@pytest.mark.parametrize("market", ["fapi", "dapi"])
async def test_there_are_no_derivatives(client, prefix, market):
    assert (await client.get(f"{prefix}/{market}/v1/exchangeInfo")).json()["symbols"] == []
