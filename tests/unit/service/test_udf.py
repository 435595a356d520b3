"""`/udf`: the documented format of TradingView's data source."""

import pytest

from k2stream.history.reader import MissingTier
from k2stream.service import udf
from tests.unit.service.memory import candle

MINUTE = 60_000


@pytest.fixture
def first(listed):
    return listed[0]


@pytest.fixture(autouse=True)
def _candles(stored, first):
    for name, length in (("1m", MINUTE), ("1h", 60 * MINUTE), ("1d", 1440 * MINUTE)):
        stored.answers[first.key, name] = [candle(first, name, length * at) for at in range(1, 8)]


async def test_config_says_what_is_supported(client, listed):
    config = (await client.get("/udf/config")).json()
    assert config["supports_search"] and config["supports_time"]
    assert not config["supports_group_request"]
    assert {"1", "240", "1D", "1M"} <= set(config["supported_resolutions"])
    assert {each["value"] for each in config["exchanges"]} == {"", *{item.exchange for item in listed}}


@pytest.mark.parametrize("resolution", udf.RESOLUTIONS)
def test_every_resolution_is_a_timeframe(resolution):
    assert udf.timeframe(resolution)


@pytest.mark.parametrize(
    ("resolution", "name"), [("1", "1m"), ("240", "4h"), ("D", "1d"), ("1W", "1w"), ("M", "1M")]
)
def test_resolutions_are_minutes_days_weeks_and_months(resolution, name):
    assert udf.timeframe(resolution).name == name


async def test_a_symbol_is_found_by_its_ticker_or_alone(client, first):
    for symbol in (first.key, first.canonical, first.key.upper()):
        found = (await client.get("/udf/symbols", params={"symbol": symbol})).json()
        assert found["ticker"] == first.key
        assert (found["name"], found["session"], found["timezone"]) == (first.canonical, "24x7", "Etc/UTC")
        assert (found["minmov"], found["pricescale"]) == (1, 100)


async def test_the_price_scale_is_of_the_digits_that_prices_have(client, stored, first):
    stored.answers[first.key, "1m"].append(candle(first, "1m", MINUTE * 9, close="0.00012"))
    assert (await client.get(f"/udf/symbols?symbol={first.key}")).json()["pricescale"] == 100_000


async def test_search_finds_by_letters(client, first):
    letters = first.canonical.replace("/", "").lower()
    found = (await client.get("/udf/search", params={"query": letters, "type": "crypto", "limit": 5})).json()
    assert found[0]["ticker"] == first.key
    assert found[0].keys() == {"symbol", "full_name", "description", "exchange", "ticker", "type"}
    nothing = await client.get("/udf/search", params={"query": letters, "type": "stock"})
    assert nothing.json() == []
    other = await client.get("/udf/search", params={"query": letters, "exchange": "nowhere"})
    assert other.json() == []


async def test_bars_are_columns_of_numbers_with_seconds(client, first):
    answer = await client.get(f"/udf/history?symbol={first.key}&resolution=1&from=120&to=240")
    assert answer.json() == {
        "s": "ok",
        "t": [120, 180],
        "o": [2, 2],
        "h": [3, 3],
        "l": [1.5, 1.5],
        "c": [2.5, 2.5],
        "v": [2, 2],
    }
    assert '"c":[2.5,2.5]' in answer.text


async def test_countback_comes_before_from(client, stored, first):
    url = f"/udf/history?symbol={first.key}&resolution=1&from=0&to=300&countback=2"
    assert (await client.get(url)).json()["t"] == [180, 240]


async def test_no_data_names_the_bar_before(client, first):
    url = f"/udf/history?symbol={first.key}&resolution=1"
    assert (await client.get(f"{url}&from=1000&to=2000")).json() == {"s": "no_data", "nextTime": 420}
    assert (await client.get(f"{url}&from=1&to=2")).json() == {"s": "no_data"}
    assert (await client.get(f"{url}&from=2000&to=1000")).json()["s"] == "no_data"


async def test_a_span_of_more_bars_than_are_answered_is_refused(client, stored, first, monkeypatch):
    monkeypatch.setattr(udf, "LARGEST_LIMIT", 3)
    url = f"/udf/history?symbol={first.key}&resolution=1"
    answer = await client.get(f"{url}&from=60&to=480")
    assert (answer.status_code, answer.json()["s"]) == (400, "error")
    assert "more than 3 bars" in answer.json()["errmsg"]
    assert (await client.get(f"{url}&from=60&to=240")).json()["t"] == [60, 120, 180]
    assert (await client.get(f"{url}&from=60&to=480&countback=9")).json()["t"] == [300, 360, 420]
    assert max(query.limit for *_, query in stored.asked) == 3  # another worker refuses more


@pytest.mark.parametrize("span", ["from=1&to=2", "from=120&to=240", "from=0&to=300&countback=2"])
async def test_bars_that_may_lack_some_are_an_error_and_never_no_data(client, stored, first, span):
    stored.missing = (MissingTier("ClickHouse", "away"),)
    answer = await client.get(f"/udf/history?symbol={first.key}&resolution=1&{span}")
    assert (answer.status_code, answer.json()["s"]) == (503, "error")
    assert answer.json()["errmsg"] == "ClickHouse does not have all candles, ask again"


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("symbols?symbol=nowhere:A/B", 404, "unknown exchange nowhere"),
        ("symbols?symbol=A/B", 404, "unknown symbol A/B"),
        ("symbols", 400, "symbol"),
        ("history?symbol=BTC/USDT&resolution=7x&from=1&to=2", 404, "7x"),
        ("history?symbol=BTC/USDT&resolution=1&from=1&to=-2", 400, "to"),
    ],
)
async def test_errors_are_as_the_library_reads_them(client, target, status, said):
    answer = await client.get(f"/udf/{target}")
    assert answer.status_code == status
    assert answer.json()["s"] == "error"
    assert said in answer.json()["errmsg"]


async def test_time_is_seconds_as_text(client):
    answer = await client.get("/udf/time")
    assert answer.headers["content-type"].startswith("text/plain")
    assert int(answer.text) > 1_700_000_000
