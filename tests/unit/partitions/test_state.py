"""What tables hold of symbols moves with them, whatever step a run is killed at."""

import asyncio
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k2stream import topics
from k2stream.app import create_app
from k2stream.candles.codec import KeyProgress
from k2stream.kafka.counts import NORMALIZED, CountChange
from k2stream.normalizer import SymbolPosition
from k2stream.partitions import state
from k2stream.partitions.plan import SymbolMove
from k2stream.replay.tables import send_changes
from k2stream.settings import make
from k2stream.tables.ohlcv import RETENTION

EXCHANGE = topics.EXCHANGES[0]
GROWN = make(**{f"{EXCHANGE}_partitions": 4, "normalized_partitions": 4})
CHANGE = CountChange(EXCHANGE, 2, 4)
SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT"]


@pytest.fixture(autouse=True)
def _apps(monkeypatch):
    """Each declaration is of a process of its own."""
    monkeypatch.setattr(state, "create_app", create_app.__wrapped__)


class Killed(BaseException):
    pass


class Changelog:
    """A producer's topic: the newest value of each key by partition; the process dies before a send."""

    def __init__(self):
        self.entries = defaultdict(dict)
        self.left = -1

    async def send(self, topic, value, key=None, partition=None, headers=()):
        if self.left == 0:
            raise Killed
        self.left -= 1
        self.entries[partition][key] = value
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def into(self, table):
        for number, held in self.entries.items():
            table.apply_changelog(number, list(held), list(held.values()), 1)


def named(name):
    return next(table for table in state.declared(GROWN) if table.name == name)


def held(table):
    return {
        number: dict(table.partition_items(number)) for number in range(4) if table.partition_items(number)
    }


def filled(changelog, table, entries):
    for number, key, value in entries:
        table.put(number, key, value)
    written(changelog, table)


def written(changelog, table):
    asyncio.run(send_changes(changelog, table))


def move(changelog, name, found, left=-1, *, of_exchange=False):
    """One run of a process that dies at its `left`-th send; True when it came to its end."""
    table = named(name)
    changelog.into(table)
    changelog.left = left
    try:
        asyncio.run(state.carry(changelog, table, found, of_exchange=of_exchange))
    except Killed:
        return False
    return True


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 25), max_size=6))
def test_positions_move_with_their_symbols_killed_anywhere(kills):
    changelog = Changelog()
    positions = {symbol: SymbolPosition(100 + at) for at, symbol in enumerate(SYMBOLS)}
    entries = [(topics.partition_of(symbol, 2), symbol, position) for symbol, position in positions.items()]
    filled(changelog, named(f"positions_{EXCHANGE}"), [*entries, (1, "strange", SymbolPosition(7))])
    table = named(f"positions_{EXCHANGE}")
    changelog.into(table)
    found = state.native(GROWN, [table], CHANGE)
    found.pop("strange", None)
    for left in [*kills, -1]:
        move(changelog, f"positions_{EXCHANGE}", found, left, of_exchange=True)
    table = named(f"positions_{EXCHANGE}")
    changelog.into(table)
    expected = defaultdict(dict)
    expected[1]["strange"] = SymbolPosition(7)
    for symbol, position in positions.items():
        expected[topics.partition_of(symbol, 4)][symbol] = position
    assert held(table) == expected


def test_what_lies_in_another_partition_than_its_own_stays_there():
    changelog = Changelog()
    symbol = next(name for name in map(str, range(99)) if topics.partition_of(name, 4) == 2)
    filled(changelog, named(f"positions_{EXCHANGE}"), [(1, symbol, SymbolPosition(3))])
    table = named(f"positions_{EXCHANGE}")
    changelog.into(table)
    found = state.native(GROWN, [table], CHANGE)
    assert found == {symbol: SymbolMove(0, 2)}
    assert state.leaving(table, found, of_exchange=True) == []


def test_windows_blocks_and_pending_candles_go_by_their_symbol():
    found = {f"{EXCHANGE}:BTC/USDT": SymbolMove(0, 2)}
    mine, other = f"{EXCHANGE}:BTC/USDT", f"{EXCHANGE}:ETH/USDT"
    for name, key_of, value in (
        ("candle_progress", lambda key: key, KeyProgress(5, 6)),
        ("certificate_blocks", lambda key: (key, 300_000), b"\x01"),
        ("agreement_first_trades", lambda key: key, 12),
    ):
        changelog = Changelog()
        filled(changelog, named(name), [(0, key_of(mine), value), (0, key_of(other), value)])
        assert move(changelog, name, found)
        table = named(name)
        changelog.into(table)
        assert held(table) == {0: {key_of(other): value}, 2: {key_of(mine): value}}
    assert state.symbol_of(f"{mine}|1m|60000") == mine
    assert state.symbol_of((mine, (0.0, 59.9))) == mine


def test_the_least_retention_goes_along():
    changelog = Changelog()
    table = named("candle_progress")
    table.put(0, "a:X/Y", KeyProgress(1, 1))
    for number, kept in ((0, b"40"), (2, b"90"), (1, b"20")):
        table.keep(number, RETENTION, kept)
    written(changelog, table)
    assert move(changelog, "candle_progress", {"a:X/Y": SymbolMove(0, 2)})
    table = named("candle_progress")
    changelog.into(table)
    assert [table.fact(number, RETENTION) for number in range(3)] == [b"40", b"20", b"40"]


def test_a_count_of_derived_topics_moves_nothing():
    assert state.native(GROWN, state.declared(GROWN), CountChange(NORMALIZED, 4, 8)) == {}


def test_keys_of_canonical_topics_follow_their_native_symbol():
    exchange = "kraken"
    assert state.canonical(make(), exchange, {"XBT/USD": SymbolMove(0, 1)}) == {
        "kraken:BTC/USD": SymbolMove(0, 1)
    }
