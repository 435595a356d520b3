"""What commands print fits a terminal of 80 columns, with no number broken over lines."""

import io

from rich.console import Console

from k2stream.commands.views.candles import candle_table
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
        "open_time": 1_793_491_200_000, "open": "67123.45", "high": "67123.99", "low": "67001.10",
        "close": "67100.00", "volume": "123.45678901", "trade_count": 1234,
        "final": True, "feed_healthy": True,
    } | changes  # fmt: skip


def test_candles_fit_and_show_what_there_is_room_for():
    answers = [(BTC, {"candles": [candle(), candle(feed_healthy=False, final=False)], "simulated": True})]
    text = printed(lambda console: candle_table(answers, timeframe("1m"), console))
    assert max(map(len, text.splitlines())) <= 80
    assert "BTC/USDT 1m SIMULATED" in text
    assert "123.45678901" in text
    assert "open, feed down" in text
    narrow = printed(lambda console: candle_table(answers, timeframe("1m"), console), 64)
    assert "67123.99" in narrow and "123.45678901" not in narrow


def test_times_are_those_of_the_zone():
    answers = [(BTC, {"candles": [candle()]})]
    text = printed(lambda console: candle_table(answers, timeframe("1d", "Asia/Tokyo"), console))
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

    def shown(price):
        samples = Samples({"k2_last_price": {labels: price}})
        return price_text(*last_price(samples, "binance"))

    assert shown(0.0019) == "DOGEUSDT 0.0019"
    assert shown(1e-7) == "DOGEUSDT 0.0000001"
    assert shown(67123.45) == "DOGEUSDT 67,123.45"


def test_the_status_view_fits_with_every_price_whole():
    names = ("binance", "kraken", "coinbase")
    prices: dict[Labels, float] = {(("exchange", name), ("symbol", "BTCUSDT")): 83569.12 for name in names}
    samples = Samples({"k2_last_price": prices})
    text = printed(lambda _: render(Snapshot(samples, samples, 1.0, {}, {}, simulated=True), "http://x"))
    assert text.count("BTCUSDT 83,569.12") == 3
    assert max(map(len, text.splitlines())) <= 80
