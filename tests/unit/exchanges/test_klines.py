"""Klines are read with all their digits, as the exchanges' documents show them."""

from decimal import Decimal

import pytest

from k2stream.exchanges import BUILT_IN
from k2stream.exchanges.rest.klines import Kline
from k2stream.exchanges.rest.spec import HistoryError
from k2stream.model.candle import TIMEFRAMES

MINUTE = 60_000
BINANCE = (
    b'[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,'
    b'"2434.19055334",308,"1756.87402397","28.46694368","0"]]'
)
KRAKEN = (
    b'{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1",'
    b'"3.39243896",23],[1688671260,"30304.5","30304.5","30300.0","30300.0","30300.0","4.42996871",18]],'
    b'"last":1688672160}}'
)
COINBASE = (
    b'{"candles":[{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4",'
    b'"close":"66181.6","volume":"355.82896243"},{"start":"1712188800","low":"65857.35","high":"66387.77",'
    b'"open":"65984.18","close":"66314.59","volume":"358.74851052"}]}'
)


def kline(time, *amounts, count=None, taker=None):
    opened, high, low, close, volume = map(Decimal, amounts)
    return Kline(time, opened, high, low, close, volume, count, None if taker is None else Decimal(taker))


READ = {
    "binance": (
        BINANCE,
        [
            kline(
                1499040000000,
                *("0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815"),
                count=308,
                taker="1756.87402397",
            )
        ],
    ),
    "kraken": (
        KRAKEN,
        [
            kline(1688671200000, "30306.1", "30306.2", "30305.7", "30305.7", "3.39243896", count=23),
            kline(1688671260000, "30304.5", "30304.5", "30300.0", "30300.0", "4.42996871", count=18),
        ],
    ),
    "coinbase": (
        COINBASE,
        [
            kline(1712188800000, "65984.18", "66387.77", "65857.35", "66314.59", "358.74851052"),
            kline(1712192400000, "66312.4", "66331.99", "66055.14", "66181.6", "355.82896243"),
        ],
    ),
}
READ["binanceus"] = READ["binance"]


def klines_of(name):
    found = BUILT_IN[name].klines
    assert found
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_klines_are_read_oldest_first_with_all_their_digits(name):
    body, wanted = READ[name]
    found = klines_of(name).parse(body)
    assert found == wanted
    assert [str(kline.volume) for kline in found] == [str(kline.volume) for kline in wanted]


def test_times_in_microseconds_are_the_same_klines():
    parse = klines_of("binance").parse
    assert parse(BINANCE.replace(b"1499040000000", b"1499040000000000")) == parse(BINANCE)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_timeframe_is_one_of_ours(name):
    assert klines_of(name).timeframes.keys() <= TIMEFRAMES.keys()
    assert "1m" in klines_of(name).timeframes


@pytest.mark.parametrize(
    ("name", "path", "query"),
    [
        (
            "binance",
            "/api/v3/klines",
            {"symbol": "A", "interval": "5m", "startTime": "60000", "endTime": "180000", "limit": "1000"},
        ),
        ("kraken", "/0/public/OHLC", {"pair": "A", "interval": "5", "since": "59"}),
        (
            "coinbase",
            "/api/v3/brokerage/market/products/A/candles",
            {"start": "60", "end": "180", "granularity": "FIVE_MINUTE", "limit": "350"},
        ),
    ],
)
def test_a_request_is_for_the_windows_from_the_first_to_the_last(name, path, query):
    klines = klines_of(name)
    request = klines.request("A", klines.timeframes["5m"], MINUTE, 3 * MINUTE)
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'"30304.5"', b'"NaN"').replace(b'"0.01577100"', b'"1e5"'),
        lambda body: body[: len(body) // 2],
        lambda body: b"<html>",
        lambda body: b'{"error":["EGeneral:Too many requests"]}',
        lambda body: body.replace(b'"1712192400"', b'"-1"').replace(b",18]", b"]").replace(b',"0"]', b"]"),
    ],
)
def test_any_other_answer_is_an_error_that_says_so(name, change):
    body = READ[name][0]
    changed = change(body)
    if changed == body:
        pytest.skip("not in this exchange's answer")
    with pytest.raises(HistoryError):
        klines_of(name).parse(changed)
