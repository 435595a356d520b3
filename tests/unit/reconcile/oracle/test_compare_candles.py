"""Candles that are there twice, not final, or have expired: what is a difference in which layer."""

import pytest

from k2stream import topics
from k2stream.reconcile.oracle import candles
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from tests.unit.reconcile.oracle.kit import Layers
from tests.unit.reconcile.oracle.test_compare import BASE, CANDLE, CANDLES, LETTERS, RAW, binance


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    made = Layers(tmp_path_factory.mktemp("candles"), RAW, LETTERS)
    yield made
    made.engine.__exit__(None, None, None)


@pytest.mark.parametrize("table", ["table_candles", "hot_candles"])
@pytest.mark.parametrize(
    ("changes", "also"),
    [
        ("revision AS revision", ""),
        (
            "'X/Y' AS canonical_symbol, 1 AS volume",
            "volume is 1",
        ),  # below the right one: of the same revision
        ("toUInt64(revision - 1) AS revision, 0 AS final, toInt256(1) AS volume", "volume is 1"),
    ],
)
def test_a_second_candle_of_a_window_is_found(layers, table, changes, also):
    """The candle tables and ClickHouse's views have one row for each window."""
    layers.engine.table("whole_table", f"SELECT * FROM {table}")
    try:
        more = f"SELECT * REPLACE ({changes}) FROM whole_table WHERE {CANDLE}"
        layers.change(table, f"SELECT * FROM whole_table UNION ALL {more}")
        found = layers.found(CANDLES[table])
    finally:
        layers.engine.run(f"DROP TABLE {table}")
        layers.engine.run(f"RENAME TABLE whole_table TO {table}")
    assert any("rows is 2, expected 1" in item for item in found), found
    assert any(also in item for item in found), found


def test_only_layers_of_every_revision_may_repeat_one(tmp_path):
    fields = dict.fromkeys(candles.TEXT, "a") | dict.fromkeys(candles.NUMBERS, "1")
    row = [(fields | dict.fromkeys(candles.WHOLE, 1))[name] for name in candles._NAMES]
    with ParquetWriter(tmp_path / "c.parquet", candles._SCHEMA) as writer:
        writer.rows([row, row])
    with OracleEngine() as engine:
        candles._table(engine, "once", tmp_path / "c.parquet", "toInt256({})", repeats=True)
        candles._table(engine, "each", tmp_path / "c.parquet", "toInt256({})")
        assert [engine.number(f"SELECT count() FROM {name}") for name in ("once", "each")] == [1, 2]


OPENED = f"open_time = {BASE} AND timeframe = '1m' AND exchange = 'binance'"


@pytest.mark.parametrize("table", CANDLES)
def test_a_candle_whose_final_revision_is_lost_is_found(layers, table):
    """The event time has passed the first minute and its grace; what is open may still become final."""
    fields = "final AND NOT ({0}) AS final, revision - toInt64({0}) AS revision"
    opened = f"SELECT * REPLACE ({fields}) FROM whole_table"
    layers.engine.table("whole_table", f"SELECT * FROM {table}")
    try:
        layers.change(table, opened.format(OPENED))
        (found,) = layers.compare(CANDLES[table])
        what = f"{CANDLES[table]}: binance BTCUSDT 1m candle at {BASE}: final revision"
        assert [str(item) for item in found.differences] == [f"{what} is missing, expected present"]
        assert found.waiting
        layers.change(table, opened.format("timeframe = '1h'"))
        assert layers.found(CANDLES[table]) == []
    finally:
        layers.engine.run(f"DROP TABLE {table}")
        layers.engine.run(f"RENAME TABLE whole_table TO {table}")


def test_candles_that_their_topics_have_expired_are_not_missed_and_later_ones_are(layers):
    """Of two minutes of one symbol, and one of another, some have expired."""
    minutes = [topics.ohlcv("1m")]
    layers.engine.table("whole_table", "SELECT * FROM topic_candles")
    try:
        layers.change("topic_candles", "SELECT * FROM whole_table WHERE timeframe != '1m'")
        assert len(layers.found("candle topics")) == 3
        assert layers.found("candle topics", begun=minutes) == []
        later = f"(exchange = 'binance' AND open_time > {BASE})"
        layers.change("topic_candles", f"SELECT * FROM whole_table WHERE timeframe != '1m' OR {later}")
        assert layers.found("candle topics", begun=minutes) == []
        layers.change("topic_candles", f"SELECT * FROM whole_table WHERE NOT (timeframe = '1m' AND {later})")
        (found,) = layers.found("candle topics", begun=minutes)
        what = f"candle topics: binance BTCUSDT 1m candle at {BASE + 60_000}"
        assert found == f"{what}: candle is missing, expected present"
        layers.change("topic_candles", "SELECT * FROM whole_table WHERE timeframe != '1h'")
        assert len(layers.found("candle topics", begun=minutes)) == 2
    finally:
        layers.engine.run("DROP TABLE topic_candles")
        layers.engine.run("RENAME TABLE whole_table TO topic_candles")


def test_tables_of_a_symbol_that_is_no_longer_listed_are_not_missed(tmp_path):
    """REST has no such symbol; every other layer must have its candles."""
    made = Layers(tmp_path, {"binance": [binance(1, 0), binance(2, 0, s="GONEUSDT")]})
    for table in ("table_candles", "hot_candles"):
        made.change(table, "SELECT * FROM {table} WHERE symbol != 'GONEUSDT'")
    assert made.found("candle tables") == []
    assert len(made.found("ClickHouse gold")) == 6
    made.change("table_candles", "SELECT * FROM {table} WHERE symbol != 'BTCUSDT'")
    assert len(made.found("candle tables")) == 6
    made.engine.__exit__(None, None, None)
