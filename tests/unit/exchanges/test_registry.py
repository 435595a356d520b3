"""Which exchanges are on, and those that other packages bring."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from k2stream import exchanges, instruments, plugins
from k2stream.exchanges import BUILT_IN, ON_BY_DEFAULT, VARIABLE, switched_on
from k2stream.model.errors import ConfigError
from k2stream.resources import CONFIG

TULIP = replace(BUILT_IN["binanceus"], name="tulip")
LETTERS = "tulip"  # what an entry point may name by mistake


@pytest.fixture
def installed(monkeypatch):
    """Declares an entry point of a package that is not there, by group and name."""
    declared = []
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group, name: [point for point in declared if (point.group, point.name) == (group, name)],
    )

    def install(name, value, group=plugins.EXCHANGES):
        declared.append(EntryPoint(name, value, group))

    return install


def test_those_of_the_release_are_on_by_default_and_a_variant_is_not():
    assert tuple(switched_on({})) == tuple(switched_on({VARIABLE: " "})) == ON_BY_DEFAULT
    assert set(BUILT_IN) - set(ON_BY_DEFAULT) == {"binanceus"}


def test_what_is_named_is_on_in_its_order():
    assert list(switched_on({VARIABLE: "binanceus, kraken"})) == ["binanceus", "kraken"]


def test_an_exchange_of_another_package_is_on_when_it_is_named(installed):
    installed("tulip", f"{__name__}:TULIP")
    assert switched_on({VARIABLE: "kraken,tulip"}) == {"kraken": BUILT_IN["kraken"], "tulip": TULIP}
    assert "tulip" not in switched_on({})
    assert exchanges.known("tulip") is TULIP


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "hyacinth",
            f"{__name__}:TULIP",
            "entry point hyacinth of k2stream.exchanges is no Exchange of that name",
        ),
        ("tulip", f"{__name__}:LETTERS", "no Exchange of that name"),
        ("tulip", f"{__name__}:NOTHING", "cannot be loaded"),
        ("tulip", "no_such_package:TULIP", "cannot be loaded"),
        ("Tulip", f"{__name__}:TULIP", "names 'Tulip', which is no exchange"),
        ("okx", f"{__name__}:TULIP", "names 'tulip', which is no exchange: use some of binance, kraken"),
    ],
)
def test_what_is_no_exchange_is_named(installed, name, value, reason):
    installed(name, value)
    with pytest.raises(ConfigError, match=reason):
        switched_on({VARIABLE: "tulip" if name == "okx" else name})


def test_its_servers_and_the_oracles_reading_are_found_the_same_way(installed):
    installed("tulip", "k2stream.simulator.protocols.binanceus:PROTOCOL", plugins.PROTOCOLS)
    found = plugins.part("k2stream.simulator.protocols", "tulip", "PROTOCOL", plugins.PROTOCOLS)
    assert found is plugins.part("k2stream.simulator.protocols", "binanceus", "PROTOCOL", plugins.PROTOCOLS)
    with pytest.raises(
        ConfigError, match=r"tulip has no VENUE: neither a module .*\.tulip nor a k2stream.venues"
    ):
        plugins.part("k2stream.reconcile.oracle.venues", "tulip", "VENUE", plugins.VENUES)


def test_one_that_is_off_is_refused_where_it_must_be_on():
    assert exchanges.known("binanceus") is BUILT_IN["binanceus"]
    with pytest.raises(ConfigError, match="exchange binanceus is not on: name it in K2_EXCHANGES"):
        exchanges.get("binanceus")
    with pytest.raises(ConfigError, match="unknown exchange 'okx'; use one of binance, kraken, coinbase"):
        exchanges.known("okx")


def test_instruments_of_one_that_is_off_are_left_out():
    file = CONFIG / "instruments.yaml"
    assert {item.exchange for item in instruments.load(file)} == set(ON_BY_DEFAULT)
    assert {item.exchange for item in instruments.load(file, {"binanceus"})} == {"binanceus"}


def test_every_process_of_a_platform_has_the_same():
    code = (
        "from k2stream import settings, topics;"
        "print(topics.EXCHANGES, settings.environment(settings.load())['K2_EXCHANGES'],"
        "settings.load().feeds.ws_url('binanceus'))"
    )
    environ = {VARIABLE: "kraken,binanceus", "PATH": ""}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert told.stdout.split("\n")[0] == (
        "('kraken', 'binanceus') kraken,binanceus wss://stream.binance.us:9443/stream"
    )
