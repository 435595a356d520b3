"""Arguments of readers: what times may look like, and what an error lists."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument, Instruments
from k2stream.read import arguments

LISTED = Instruments(
    [Instrument("kraken", "XBT/USD", "BTC/USD"), Instrument("kraken", "ETH/USD", "ETH/USD"),
     Instrument("coinbase", "BTC-USD", "BTC/USD")]
)  # fmt: skip
DAY = 1_793_491_200_000


@pytest.mark.parametrize(
    "time",
    [
        DAY,
        str(DAY),
        "2026-11-01",
        "2026-11-01T09:00+09:00",
        date(2026, 11, 1),
        datetime(2026, 11, 1),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 1, 9, tzinfo=timezone(timedelta(hours=9))),
    ],
)
def test_a_time_has_many_forms(time):
    assert arguments.milliseconds(time, "start") == DAY


@pytest.mark.parametrize("time", ["yesterday", "", -1, 10**13, 1.5, True and "x", object(), date.min])
def test_what_is_no_time_is_named(time):
    with pytest.raises(ConfigError, match=r"end=.* must be ISO 8601"):
        arguments.milliseconds(time, "end")


def test_a_span_without_a_start_begins_in_1970():
    assert arguments.span(None, None) == (0, None)
    assert arguments.span(5, "1970-01-01T00:00:01") == (5, 1000)
    with pytest.raises(ConfigError, match=r"start=5 is not before end=5"):
        arguments.span(5, 5)


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTC-USD", "BTCUSD", "XBT/USD", "xbt-usd"])
def test_a_symbol_has_many_spellings(symbol):
    assert arguments.instrument(LISTED, "kraken", symbol) == LISTED[0]


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match=r"kraken has no symbol 'DOGE' here: it has BTC/USD, ETH/USD$"):
        arguments.instrument(LISTED, "kraken", "DOGE")
    with pytest.raises(ConfigError, match=r"no exchange 'okx' here: there are kraken, coinbase$"):
        arguments.instrument(LISTED, "okx", "BTC/USD")
