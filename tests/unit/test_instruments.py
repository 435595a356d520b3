"""Instruments: the file as shipped, and a line number for every mistake."""

import pytest

from k2stream import instruments, settings
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument, Instruments


def test_the_shipped_file_has_34_instruments():
    found = instruments.load(settings.Settings().feeds.instruments_file)
    assert {name: len(found.for_exchange(name)) for name in ("binance", "kraken", "coinbase")} == {
        "binance": 12,
        "kraken": 11,
        "coinbase": 11,
    }
    assert all(item.canonical.endswith("/USDT") for item in found.for_exchange("binance"))


def test_an_instrument_is_found_by_each_of_its_names():
    found = instruments.load(settings.Settings().feeds.instruments_file)
    names = ("XBT/USD", "BTC/USD", "BTC-USD", "XBTUSD", "BTCUSD", "xbt-usd", "btc_usd")
    assert {item and item.symbol for item in (found.find("kraken", name) for name in names)} == {"XBT/USD"}
    assert found.find("kraken", "BTC/EUR") is None
    assert found.find("kraken", "") is found.find("kraken", "-") is None


def test_names_that_differ_in_their_separator_only_are_found_exactly_or_not_at_all():
    two = Instruments([Instrument("kraken", "AB/C", "AB/C"), Instrument("kraken", "A/BC", "A/BC")])
    assert two.find("kraken", "A-BC") == two[1]
    assert two.find("kraken", "ABC") is None


def test_the_nearest_symbols_come_first_and_those_alike_by_name():
    names = ("BTC/USDT", "ETH/USDT", "ETC/USDT", "BTC/USD")
    found = Instruments([Instrument("binance", name, name) for name in names[:3]])
    found = Instruments([*found, Instrument("kraken", names[3], names[3])])
    assert found.nearest({"binance"}, "BTCUSD") == ["BTC/USDT", "ETC/USDT", "ETH/USDT"]
    assert found.nearest({"binance", "kraken"}, "btc-usd") == ["BTC/USD", "BTC/USDT", "ETC/USDT", "ETH/USDT"]
    assert found.nearest({"binance"}, "123") == ["BTC/USDT", "ETC/USDT", "ETH/USDT"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("okx:\n  - {symbol: A, canonical: A/B}", 1, "unknown exchange"),
        (
            "binance:\n  - {symbol: A, canonical: A/B}\n  - {symbol: A, canonical: C/B}",
            3,
            "already on line 2",
        ),
        (
            "binance:\n  - {symbol: A, canonical: A/B}\n  - {symbol: C, canonical: A/B}",
            3,
            "already on line 2",
        ),
        ("binance:\n  - {symbol: A}", 2, "both symbol and canonical"),
        ("binance:\n  - {symbol: A, canonical: ab}", 2, "BASE/QUOTE"),
        ("binance:\n  - {symbol: A, canonical: A/B, tick: 1}", 2, "unknown field"),
        ("binance:\n  - {symbol: A, canonical: A/B, stream: depth}", 2, "stream"),
        ("binance: 3", 1, "expected a list"),
        ("binance:\n  - {symbol: A", 2, "not YAML"),
        ("[]", 1, "mapping of exchanges"),
    ],
)
def test_a_mistake_names_file_line_and_reason(tmp_path, text, line, reason):
    path = tmp_path / "instruments.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        instruments.load(path)
    assert str(error.value).startswith(f"{path}:{line}:"), error.value
    assert reason in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="K2_INSTRUMENTS_FILE"):
        instruments.load(tmp_path / "none.yaml")
