"""What `k2 validate` asks of ClickHouse, in an engine of this process: it accuses no right row."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from chdb.session import Session

from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.reconcile import checks
from k2stream.reconcile.checks import Range
from k2stream.settings import make

NAME = "checks_sql"
NOW = time.time_ns() // 1000
MINUTE, DAY = 60_000_000, 86_400_000_000
OPENED = (NOW - 3_600_000_000) // MINUTE * MINUTE


class Layers:
    """ClickHouse's tables with trades of Binance, and a client that answers the checks."""

    def __init__(self):
        self.session = Session()
        self.session.query(f"CREATE DATABASE {NAME}")
        for path in sorted(FOLDER.glob("[0-9]*.sql")):
            for statement in statements(path.read_text(encoding="utf-8"), NAME):
                self.session.query(statement)
        for table in ("bronze_trades_binance", "silver_trades"):
            self.session.query(f"SYSTEM STOP TTL MERGES {NAME}.{table}")

    def execute(self, sql, with_column_types, settings):
        rows = self.session.query(sql, "ArrowTable")
        return [tuple(row.values()) for row in rows.to_pylist()], [(name, "") for name in rows.column_names]

    def bronze(self, number, at, received=None, price="1.5", quantity="2"):
        self._add(
            "bronze_trades_binance",
            e="'trade'", s="'BTCUSDT'", t=number, p=f"'{price}'", q=f"'{quantity}'", T=at // 1000, m="true",
            receive_time=_time(received or at + 9), connection="'c'", sequence=number, raw_offset=number,
        )  # fmt: skip

    def silver(self, number, at, received=None, price="1.5", quantity="2"):
        received = received or at + 9
        self._add(
            "silver_trades",
            timestamp=_time(at), receive_time=_time(received), process_time=_time(received + 9),
            price=f"'{price}'", quantity=f"'{quantity}'", side="'SELL'", raw_offset=number, trade_count=1,
            exchange="'binance'", symbol="'BTCUSDT'", canonical_symbol="'BTC/USDT'", trade_id=f"'{number}'",
        )  # fmt: skip

    def both(self, number, at, received=None, **values):
        self.bronze(number, at, received, **values)
        self.silver(number, at, received, **values)

    def minute(self, opened, count):
        """The candle of a minute of `count` trades of 2 for 1.5 each."""
        self._add(
            "ohlcv_1m",
            exchange="'binance'", symbol="'BTCUSDT'", canonical_symbol="'BTC/USDT'", timeframe="'1m'",
            open_time=_time(opened), close_time=_time(opened + MINUTE - 1000), high="'1.5'", low="'1.5'",
            volume=f"'{2 * count}'", taker_buy_volume="'0'", trade_count=count, final="true", raw_offset=0,
        )  # fmt: skip

    def empty(self):
        for table in ("bronze_trades_binance", "silver_trades", "ohlcv_1m", "sink_positions"):
            self.session.query(f"TRUNCATE TABLE {NAME}.{table}")

    def _add(self, to, **values):
        self.session.query(
            f"INSERT INTO {NAME}.{to} ({', '.join(values)}) SELECT {', '.join(map(str, values.values()))}"
        )

    def held(self, offset):
        """Silver is durable up to a raw offset."""
        self._add(
            "sink_positions",
            table="'silver_trades'", topic="'t'", partition=0, last_offset=offset,
            marks=f"map('binance:0', {offset})",
        )  # fmt: skip

    def failed(self, *names, days=1.0):
        since = datetime.now(UTC) - timedelta(days=days)
        wanted = [check for check in checks.read() if check.name in names]
        assert len(wanted) == len(names)
        config = make(clickhouse_database=NAME)
        found = list(checks.run(self, config, wanted, Range(since, datetime.now(UTC))))
        assert not [finding.error for finding in found if finding.error]
        return [finding.check.name for finding in found if not finding.ok]


def _time(us):
    return f"fromUnixTimestamp64Micro({us}, 'UTC')"


@pytest.fixture(scope="module")
def server():
    made = Layers()
    yield made
    made.session.query(f"DROP DATABASE {NAME}")
    made.session.close()


@pytest.fixture
def layers(server):
    server.empty()
    return server


def test_a_trade_dated_ahead_makes_no_other_late(layers):
    """Its event time is at most a second after its receipt, as for the candles."""
    layers.silver(0, OPENED + MINUTE * 30, OPENED + 1_000_000)
    for number in range(1, 31):
        layers.silver(number, OPENED + number * 1_000_000)
    layers.minute(OPENED, 30)
    layers.minute(OPENED + MINUTE * 30, 1)
    layers.held(30)
    assert layers.failed("silver_lateness", "candle_volume") == []
    layers.silver(31, OPENED + MINUTE * 3)
    for number in range(32, 43):  # past the grace, in no candle
        layers.silver(number, OPENED + number * 1_000_000, OPENED + MINUTE * 3 + number)
    layers.minute(OPENED + MINUTE * 3, 1)
    assert layers.failed("silver_lateness", "candle_volume") == ["silver_lateness"]
    layers.session.query(f"TRUNCATE TABLE {NAME}.ohlcv_1m")
    assert layers.failed("candle_volume") == ["candle_volume"]


COMPLETE = ("silver_missing", "layer_counts", "silver_values")


def test_numbers_that_are_too_large_are_dead_letters_and_not_missed(layers):
    """A quantity, or price times quantity, of more than 13 integer digits; up to that it is a trade."""
    layers.bronze(1, OPENED, quantity="10000000000000", price="0.000001")
    layers.bronze(2, OPENED, quantity="5000000", price="2000000")
    layers.both(3, OPENED, quantity="4999999", price="2000000")
    layers.held(3)
    assert layers.failed(*COMPLETE) == []
    layers.bronze(4, OPENED, quantity="4999998", price="2000000")
    layers.held(4)
    assert layers.failed(*COMPLETE) == ["silver_missing", "layer_counts"]


def test_numbers_with_an_exponent_are_trades_and_others_none(layers):
    layers.bronze(1, OPENED, price="15e-1", quantity="2E0")
    layers.silver(1, OPENED)
    layers.bronze(2, OPENED, price="none")
    layers.bronze(3, OPENED, price="1e50", quantity="1e40")
    layers.held(3)
    assert layers.failed(*COMPLETE) == []
    layers.silver(2, OPENED)
    assert layers.failed(*COMPLETE) == ["silver_values", "layer_counts"]
    layers.empty()
    layers.bronze(1, OPENED, price="15e-1", quantity="2E0")
    layers.held(1)
    assert "silver_missing" in layers.failed(*COMPLETE)


def test_trades_that_outlive_their_raw_records_are_no_fault(layers):
    """Bronze keeps 7 days from the receipt, silver 30 days from the trade."""
    layers.silver(1, NOW - 8 * DAY)
    layers.both(2, NOW - 6 * DAY)
    layers.both(3, OPENED)
    layers.held(3)
    names = ("silver_unknown", "layer_counts")
    assert layers.failed(*names, days=20) == []
    layers.silver(4, NOW - 6 * DAY)
    layers.held(4)
    assert layers.failed(*names, days=20) == ["silver_unknown", "layer_counts"]
