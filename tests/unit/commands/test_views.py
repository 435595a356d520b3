"""What commands print fits a terminal of 80 columns, with no number broken over lines."""

import io

from rich.console import Console

from k2stream.commands.views.candles import candle_table, meanings
from k2stream.commands.views.platform import price_text, render
from k2stream.commands.views.rows import rows_shown
from k2stream.commands.views.statuses import last_price
from k2stream.history.timeframes import timeframe
from k2stream.model.instrument import Instrument
from k2stream.platform.scrape import Labels, Samples
from k2stream.platform.snapshot import Snapshot

BTC = Instrument("binance", "BTCUSDT", "BTC/USDT")


def printed(make, width=80):
    text = io.StringIO()
    console = Console(file=text, width=width)
    console.print(make(console))
    return text.getvalue()


def candle(**changes):
    return {
        "open_time": 1_793_491_200_000, "close_time": 1_793_491_259_999, "open": "67123.45",
        "high": "67123.99", "low": "67001.10",
        "close": "67100.00", "volume": "123.45678901", "trade_count": 1234,
        "final": True, "feed_healthy": True, "feed_reason": None,
    } | changes  # fmt: skip


NOW = 1_793_491_230_000  # ms, within the window of a candle


def test_candles_fit_and_show_what_there_is_room_for():
    answers = [(BTC, {"candles": [candle(), candle(feed_reason="lost", final=False)], "simulated": True})]
    text = printed(lambda console: candle_table(answers, timeframe("1m"), console, NOW))
    assert max(map(len, text.splitlines())) <= 80
    assert "BTC/USDT 1m SIMULATED" in text
    assert "123.45678901" in text
    assert "open, feed down" in text
    narrow = printed(lambda console: candle_table(answers, timeframe("1m"), console, NOW), 64)
    assert "67123.99" in narrow and "123.45678901" not in narrow


def test_every_candle_has_a_state_and_what_is_not_plain_is_explained():
    open_ = candle(final=False, volume="1.5")
    over, began = open_ | {"close_time": NOW - 1}, open_ | {"final": True, "feed_reason": "began"}
    answers = [(BTC, {"candles": [began, over, open_]})]
    lines = printed(lambda console: candle_table(answers, timeframe("1m"), console, NOW)).splitlines()
    assert [line.split(" 1234 ")[-1].strip() for line in lines[-3:]] == ["final, partial", "in grace", "open"]
    assert meanings(answers, NOW) == [
        "in grace: the window is over, and trades on time may still come",
        "partial: the feed began within the window, earlier trades are not in it",
    ]
    assert meanings([(BTC, {"candles": [open_, candle()]})], NOW) == []


def test_all_prices_of_a_symbol_have_as_many_digits():
    answers = [(BTC, {"candles": [candle(open="67123.4", high="67124", low="67001.15", volume="1.50")]})]
    text = printed(lambda console: candle_table(answers, timeframe("1m"), console, NOW))
    assert {"67123.40", "67124.00", "67001.15", "67100.00", "1.5"} <= set(text.split())


def test_times_are_those_of_the_zone():
    answers = [(BTC, {"candles": [candle()]})]
    text = printed(lambda console: candle_table(answers, timeframe("1d", "Asia/Tokyo"), console, NOW))
    assert "open, Asia/Tokyo" in text
    assert "11-01 09:00" in text


def test_rows_that_do_not_fit_are_shown_field_by_field():
    row = {f"field_{number}": "1" * 12 for number in range(12)}
    text = printed(lambda console: rows_shown([row, row], console))
    assert text.count("field_3 ") == 2
    assert max(map(len, text.splitlines())) <= 80
    assert printed(lambda console: rows_shown([row], console), 300).splitlines()[0].split() == list(row)


def test_a_price_has_its_own_digits():
    labels: Labels = (("exchange", "binance"), ("symbol", "DOGEUSDT"))

    def shown(price, digits=0.0):
        samples = Samples({"k2_last_price": {labels: price}, "k2_price_digits": {labels: digits}})
        return price_text(*last_price(samples, "binance"))

    assert shown(0.0019) == "DOGEUSDT 0.0019"
    assert shown(1e-7) == "DOGEUSDT 0.0000001"
    assert shown(67123.45) == "DOGEUSDT 67,123.45"
    assert shown(67123.4, 2) == "DOGEUSDT 67,123.40"
    assert shown(67123.0, 2) == "DOGEUSDT 67,123.00"


def test_the_status_view_fits_with_every_price_whole():
    names = ("binance", "kraken", "coinbase")
    prices: dict[Labels, float] = {(("exchange", name), ("symbol", "BTCUSDT")): 83569.12 for name in names}
    samples = Samples({"k2_last_price": prices})
    waiting = {"k2-cold": {"market.crypto.trades.normalized": 98_765}}
    snapshot = Snapshot(samples, samples, 1.0, waiting, {}, simulated=True, commit_seconds=900.0)
    text = printed(lambda _: render(snapshot, "http://x", "http://x/v1/candles"))
    assert text.count("BTCUSDT 83,569.12") == 3
    assert "page: http://x/" in text and "recon: reconnects" in text
    assert "98,765" in text and "Iceberg commits every 15 min: until then its lag grows" in text
    assert max(map(len, text.splitlines())) <= 80
