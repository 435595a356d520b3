"""What an exchange consists of; a new one that lacks a part is told which, and where it goes."""

import re
from pathlib import Path
from typing import Any

import pytest

from k2stream import instruments
from k2stream.exchanges import BUILT_IN
from k2stream.layers import schema
from k2stream.model.errors import ConfigError
from k2stream.reconcile.oracle import venues
from k2stream.resources import CONFIG, SCHEMAS
from k2stream.simulator import protocols

ROOT = Path(__file__).parents[2]
MIGRATIONS = "".join(path.read_text() for path in sorted((SCHEMAS / "clickhouse").glob("[0-9]*.sql")))


def value(name):
    exchange = BUILT_IN[name]
    return exchange.name == name and re.fullmatch("[a-z][a-z0-9_]{0,31}", name) and exchange.ws_url


def history(name):
    past = BUILT_IN[name].history
    return past and BUILT_IN[name].rest_url and ((past.by_id and past.newest) or past.by_time)


def klines(name):
    found = BUILT_IN[name].klines
    return found and found.timeframes and protocols.for_exchange(name).klines


def bronze(name):
    native = BUILT_IN[name].native
    made = f".bronze_trades_{name}\n" in MIGRATIONS and f"    '{name}'" in MIGRATIONS
    return native.symbol in schema._native(native).names and (made or native.bronze_view)


def symbols(name):
    return instruments.load(CONFIG / "instruments.yaml", {name})


def servers(name):
    protocol: Any = protocols.for_exchange(name)
    return protocol.dialect.name == name and protocol.routes


def oracle(name):
    return set(venues.for_exchange(name).columns) == set(BUILT_IN[name].native.record.__struct_fields__)


def playback(name):
    files = ("frames", *(f"expected_{form}" for form in ("trades", "candles", "events", "summary")))
    return all((ROOT / f"tests/playback/{name}/{file}.jsonl").exists() for file in files)


def row(name):
    return f"\n| `{name}` |" in (ROOT / "docs/exchanges.md").read_text()


PARTS = {
    value: "1. its value: k2stream/exchanges/NAME.py, a line in __init__.py; a lower-case word for a name",
    history: "2. its past trades: `history`, k2stream/exchanges/rest/NAME.py",
    klines: "2. its klines: `klines`, k2stream/exchanges/rest/NAME.py, and PROTOCOL.klines that serve them",
    bronze: "3. `native`, and its `bronze_view` for k2 validate; a migration is not needed",
    symbols: "4. its symbols: config/instruments.yaml",
    servers: "5. its simulated servers: PROTOCOL in k2stream/simulator/protocols/NAME.py, REST included",
    oracle: "6. what the oracle knows: VENUE in k2stream/reconcile/oracle/venues/NAME.py, all native fields",
    playback: "7. captured frames and what must come out: tests/playback/NAME/",
    row: "8. a row in docs/exchanges.md",
}


def lacking(name):
    """The parts that an exchange does not have, in words."""
    for there, text in PARTS.items():
        try:
            reason = "" if there(name) else "."
        except (ConfigError, AttributeError, KeyError) as error:
            reason = f": {error}"
        if reason:
            yield text.replace("NAME", name) + reason


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_exchange_has_all_its_parts(name):
    found = list(lacking(name))
    assert not found, "\n".join([f"{name} lacks, see docs/exchanges.md:", *found])


def test_what_is_lacking_is_named(monkeypatch):
    monkeypatch.setitem(BUILT_IN, "tulip", BUILT_IN["binanceus"])
    found = list(lacking("tulip"))
    assert [text[0] for text in found] == list("1245678")
    assert "k2stream/simulator/protocols/tulip.py" in found[3]
