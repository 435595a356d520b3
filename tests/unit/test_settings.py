"""Settings: one readable line for every mistake."""

import ast
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import settings
from k2stream.model.errors import ConfigError
from k2stream.resources import CONFIG


def test_defaults_need_no_environment():
    assert settings.load({}) == settings.Settings()


def test_values_are_typed():
    read = settings.load({"K2_SIMULATED": "true", "K2_GRACE_SECONDS": "2.5", "K2_WEB_PORT": "6066"})
    assert (read.simulated, read.grace_seconds, read.web_port) == (True, 2.5, 6066)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("K2_WEB_PORT", "99999", "65535"),
        ("K2_GRACE_SECONDS", "soon", "float"),
        ("K2_GRACE_SECONDS", "0", "> 0"),
        ("K2_KRAKEN_PARTITIONS", "-1", ">= 1"),
        ("K2_KRAKEN_WS", "wss://x", "not a setting"),
    ],
)
def test_a_mistake_names_the_variable_and_the_reason(name, value, reason):
    with pytest.raises(ConfigError) as error:
        settings.load({name: value})
    assert name in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_child_process_gets_the_same_settings():
    read = settings.load(
        {"K2_SIMULATED": "true", "K2_KRAKEN_WS_URL": "ws://127.0.0.1:1", "K2_COMMIT_SECONDS": "0.5"}
    )
    assert settings.load(settings.environment(read)) == read


def test_each_exchange_has_its_url():
    read = settings.load({"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1"})
    assert read.ws_url("kraken") == "ws://127.0.0.1:1"
    assert read.ws_url("binance").startswith("wss://")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.kraken.com"),
        ({"K2_GAP_FILL": "false"}, "https://api.kraken.com"),
        ({"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1"}, ""),  # not to mix its trades with the exchange's own
        (
            {"K2_KRAKEN_WS_URL": "ws://127.0.0.1:1", "K2_KRAKEN_REST_URL": "http://127.0.0.1:2"},
            "http://127.0.0.1:2",
        ),
        ({"K2_KRAKEN_REST_URL": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
    ],
)
def test_trades_are_fetched_from_where_the_feed_is(given, url):
    loaded = settings.load(given)
    assert loaded.rest_url("kraken") == url
    assert loaded.fills_gaps("kraken") == (bool(url) and loaded.gap_fill)


@pytest.mark.parametrize(("seconds", "expected"), [(4.1, 4_100_000), (5.0, 5_000_000), (0.000001, 1)])
def test_a_grace_is_the_microseconds_it_says(seconds, expected):
    assert settings.Settings(grace_seconds=seconds).grace_us == expected


@given(st.integers(1, 10**12))
def test_any_whole_microseconds_come_back(micros):
    given_text = str(Decimal(micros) / 10**6)
    read = settings.load({"K2_GRACE_SECONDS": given_text, "K2_IDLE_SECONDS": given_text})
    assert (read.grace_us, read.idle_us) == (micros, micros)


def test_the_grace_is_converted_in_one_place():
    root = CONFIG.parent
    found = [
        str(path.relative_to(root))
        for folder in ("k2stream", "agents", "tables")
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("grace_seconds", "idle_seconds")
    ]
    assert set(found) <= {"k2stream/settings.py"}
