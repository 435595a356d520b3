"""Which requests are understood, and what a refusal says."""

import pytest

from k2stream.model.instrument import Instrument, Instruments
from k2stream.web.query import Query, RequestError, find, parse, timeframe_of

LISTED = Instruments(
    [Instrument("binance", "BTCUSDT", "BTC/USDT"), Instrument("kraken", "XBT/USD", "BTC/USD")]
)


def refusal(call, *args):
    with pytest.raises(RequestError) as caught:
        call(*args)
    return caught.value.status, caught.value.body


def test_defaults():
    assert parse({}, 5000) == Query(500, None, None, "none", "json")
    assert parse({}, 100).limit == 100


def test_times_are_ms_or_iso():
    query = parse({"start": "1700000000000", "end": "2023-11-15T00:00:00+01:00"}, 5000)
    assert (query.start, query.end) == (1_700_000_000_000, 1_700_002_800_000)
    assert parse({"start": "2023-11-14T23:00:00.001"}, 5000).start == 1_700_002_800_001
    assert parse({"start": "2023-11-14"}, 5000).start == 1_699_920_000_000


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "5001"},
        {"limit": "ten"},
        {"limit": "١"},
        {"limit": "9" * 5000},
        {"limit": ""},
        {"start": "yesterday"},
        {"start": "9" * 40},
        {"start": "2", "end": "2"},
        {"fill": "zero"},
        {"format": "csv"},
        {"source": "hot"},
        {"from": "1"},
    ],
)
def test_what_is_not_understood_is_a_400_naming_the_parameter(parameters):
    status, body = refusal(parse, parameters, 5000)
    assert status == 400
    assert next(iter(parameters)) in body["error"]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT", "BTC-USDT"])
def test_symbols_are_canonical_or_native(symbol):
    assert find(LISTED, "binance", symbol).key == "binance:BTC/USDT"


def test_a_404_says_what_exists():
    assert refusal(find, LISTED, "bitmex", "BTCUSDT")[1]["exchanges"] == (
        "binance",
        "kraken",
        "coinbase",
    )
    status, body = refusal(find, LISTED, "kraken", "BTCUSDT")
    assert (status, body["symbols"]) == (404, ["BTC-USD"])
    status, body = refusal(timeframe_of, "2y")
    assert (status, {"1m", "3m", "4h", "1w", "1M"} <= set(body["timeframes"])) == (404, True)
    assert "use UTC or a name" in refusal(timeframe_of, "1d", "Mars")[1]["error"]


def test_the_last_are_taken_unless_a_start_is_given():
    times = [0, 10, 20, 30, 40]
    assert Query(limit=2).select(times) == [30, 40]
    assert Query(limit=2, end=40).select(times) == [20, 30]
    assert Query(limit=2, start=10).select(times) == [10, 20]
    assert Query(limit=9, start=11, end=31).select(times) == [20, 30]


def test_a_query_without_an_end_ends_before_what_is_dated_ahead():
    times = [60_000, 120_000, 31_536_000_000]
    assert parse({}, 5000).before(120_001).select(times) == [60_000, 120_000]
    assert parse({"start": "60000"}, 5000).before(120_001).select(times) == [60_000, 120_000]
    assert parse({"end": "40000000000"}, 5000).before(120_001).select(times) == times
