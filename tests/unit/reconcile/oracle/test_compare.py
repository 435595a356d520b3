"""Every layer's comparison finds what was made wrong in it, and nothing where nothing is."""

import time

import pytest

from k2stream import topics
from tests.unit.reconcile.oracle.kit import Layers, record

DAY = 86_400_000
BASE = (time.time_ns() // 1_000_000 // DAY - 1) * DAY + (22 * 60 + 14) * 60_000  # ms: 22:14 yesterday


def binance(number, at, **changes):
    fields = {
        "e": "trade",
        "E": BASE + at,
        "s": "BTCUSDT",
        "t": number,
        "p": f"{100 + number}.50",
        "q": "0.25",
    }
    fields |= {"T": BASE + at, "m": bool(number % 2), "M": True, "k2_recv": (BASE + at) * 1000 + 9}
    return record(fields | {"k2_conn": "c", "k2_seq": number} | changes)


def kraken(number, at):
    fields = {"pair": "XBT/USD", "price": "200.10", "volume": "0.01", "time": f"{(BASE + at) / 1000:.6f}"}
    fields |= {"side": "b", "orderType": "l", "misc": "", "k2_recv": (BASE + at) * 1000 + 9}
    return record(fields | {"k2_conn": "k", "k2_seq": number})


BAD = binance(30, 5_000, p="none")
RAW = {
    "binance": [
        *(binance(number, number * 10_000) for number in range(12)),
        binance(3, 30_000),  # a copy
        binance(12, 10_000),  # late
        BAD,
    ],
    "kraken": [kraken(number, number // 3 * 1_000) for number in range(9)],
}
LETTERS = ((topics.raw("binance"), 14, BAD),)


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    made = Layers(tmp_path_factory.mktemp("verify"), RAW, LETTERS)
    yield made
    made.engine.__exit__(None, None, None)


def test_nothing_is_found_where_nothing_is_wrong(layers):
    comparisons = layers.compare()
    assert [str(item) for part in comparisons for item in part.differences] == []
    assert {part.layer: part.compared for part in comparisons} == {
        "candle tables": 15,
        "candle topics": 15,
        "ClickHouse gold": 15,
        "Iceberg gold": 15,
        "canonical topic": 22,
        "late topic": 1,
        "ClickHouse silver": 22,
        "Iceberg silver": 22,
        "ClickHouse bronze": 24,
        "Iceberg bronze": 24,
        "dead letters": 1,
    }


ONE = "exchange = 'binance' AND raw_offset = 5"
EXACT = "toInt256(1)"
FAULTS = {
    "lost": (f"SELECT * FROM {{table}} WHERE NOT ({ONE})", "row is missing"),
    "doubled": (f"SELECT * FROM {{table}} UNION ALL SELECT * FROM {{table}} WHERE {ONE}", "rows is 2"),
    "side": (f"SELECT * REPLACE (if({ONE}, 'BUY', side) AS side) FROM {{table}}", "side is BUY"),
    "time": (
        f"SELECT * REPLACE (if({ONE}, timestamp + 1, timestamp) AS timestamp) FROM {{table}}",
        "timestamp",
    ),
    "symbol": (f"SELECT * REPLACE (if({ONE}, 'X', symbol) AS symbol) FROM {{table}}", "symbol is X"),
    "price": (f"SELECT * REPLACE (if({ONE}, price + {EXACT}, price) AS price) FROM {{table}}", "price is"),
    "processed": (
        f"SELECT * REPLACE (if({ONE}, process_time + 1, process_time) AS process_time) FROM {{table}}",
        "process_time",
    ),
    "invented": (
        f"""SELECT * FROM {{table}}
        UNION ALL SELECT * REPLACE (99 AS raw_offset) FROM (SELECT * FROM {{table}} WHERE {ONE})""",
        "row is present, expected absent",
    ),
}
TRADES = {"canonical": "canonical topic", "hot_silver": "ClickHouse silver", "cold_silver": "Iceberg silver"}
ALLOWED = {("canonical", "doubled"), ("canonical", "processed")}
"""After a crash a record may come again; what the topic says is when it was processed."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("table", TRADES)
def test_a_fault_in_one_trade_is_found_in_its_layer(layers, table, fault):
    query, expected = FAULTS[fault]
    layers.engine.table("whole_table", f"SELECT * FROM {table}")
    try:
        layers.change(table, query)
        found = layers.found(TRADES[table])
    finally:
        layers.engine.run(f"DROP TABLE {table}")
        layers.engine.run(f"RENAME TABLE whole_table TO {table}")
    if (table, fault) in ALLOWED:
        return
    assert len(found) == 1, found
    assert found[0].startswith(f"{TRADES[table]}: binance raw record 0:")
    assert expected in found[0]


BRONZE = {
    "lost": FAULTS["lost"],
    "doubled": FAULTS["doubled"],
    "side": (f"SELECT * REPLACE (if({ONE}, 'false', m) AS m) FROM {{table}}", "m is false, expected true"),
    "time": (f"SELECT * REPLACE (if({ONE}, '5', T) AS T) FROM {{table}}", "T is 5"),
    "symbol": (f"SELECT * REPLACE (if({ONE}, 'X', s) AS s) FROM {{table}}", "s is X"),
    "price": (f"SELECT * REPLACE (if({ONE}, '105.5', p) AS p) FROM {{table}}", "p is 105.5, expected 105.50"),
}


@pytest.mark.parametrize("fault", BRONZE)
@pytest.mark.parametrize("tier", ["hot", "cold"])
def test_a_fault_in_one_raw_record_is_found_in_bronze(layers, tier, fault):
    query, expected = BRONZE[fault]
    table = f"{tier}_bronze_binance"
    try:
        layers.change(table, query)
        (found,) = layers.found(f"{'ClickHouse' if tier == 'hot' else 'Iceberg'} bronze")
    finally:
        layers.change(table, "SELECT * FROM bronze_binance")
    assert found.startswith(
        f"{'ClickHouse' if tier == 'hot' else 'Iceberg'} bronze: binance raw record 0:5: "
    )
    assert expected in found


CANDLES = {
    "table_candles": "candle tables",
    "topic_candles": "candle topics",
    "hot_candles": "ClickHouse gold",
    "cold_candles": "Iceberg gold",
}
CANDLE = "timeframe = '1h' AND exchange = 'binance'"
WRONG = {
    "lost": (f"SELECT * FROM {{table}} WHERE NOT ({CANDLE})", "candle is missing"),
    "invented": (
        f"""SELECT * FROM {{table}} UNION ALL
        SELECT * REPLACE (open_time + 3600000 AS open_time) FROM {{table}} WHERE {CANDLE}""",
        "candle is present, expected absent",
    ),
    "older": (f"SELECT * REPLACE (if({CANDLE}, 4, raw_offset) AS raw_offset) FROM {{table}}", "behind"),
    **{
        name: (f"SELECT * REPLACE (if({CANDLE}, {name} + 1, {name}) AS {name}) FROM {{table}}", f"{name} is")
        for name in (
            *("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "vwap"),
            *(
                "trade_count",
                "first_trade_time",
                "last_trade_time",
                "close_time",
                "revision",
                "raw_partition",
            ),
        )
    },
}


@pytest.mark.parametrize("table", CANDLES)
def test_every_field_of_a_candle_is_compared(layers, table):
    layers.engine.table("whole_table", f"SELECT * FROM {table}")
    few = ("lost", "invented", "older", "high")  # the tables share the way they are compared
    try:
        for name, (query, expected) in WRONG.items():
            if table != "topic_candles" and name not in few:
                continue
            layers.change(table, query.replace("{table}", "whole_table"))
            found = layers.found(CANDLES[table])
            assert any(expected in item for item in found), (expected, found)
            assert all(item.startswith(CANDLES[table]) for item in found)
    finally:
        layers.engine.run(f"DROP TABLE {table}")
        layers.engine.run(f"RENAME TABLE whole_table TO {table}")


def test_dead_letters_are_compared_by_content(layers):
    raw = topics.raw("binance")
    for query, expected in (
        ("SELECT * FROM {table} WHERE 0", f"{raw}[0] offset 14: letter is missing"),
        ("SELECT * REPLACE ('other' AS original) FROM {table}", "original is other bytes"),
        (
            "SELECT * FROM {table} UNION ALL SELECT * REPLACE (2 AS offset) FROM {table}",
            f"{raw}[0] offset 2: letter of normalize is present, expected absent",
        ),
    ):
        layers.engine.table("whole_table", "SELECT * FROM letters")
        try:
            layers.change("letters", query)
            found = layers.found("dead letters")
        finally:
            layers.engine.run("DROP TABLE letters")
            layers.engine.run("RENAME TABLE whole_table TO letters")
        assert any(expected in item for item in found), found
        assert all(item.startswith("dead letters: ") for item in found)


@pytest.mark.parametrize(
    ("size", "kept", "right"),
    [(200_000, 150_000, False), (700_000, 660_000, True), (700_000, 659_999, False)],
)
def test_a_dead_letter_has_all_bytes_that_fit(tmp_path, size, kept, right):
    made = Layers(tmp_path, {"binance": [b"x" * size]}, [(topics.raw("binance"), 0, b"")])
    made.change("letters", f"SELECT * REPLACE (repeat('x', {kept}) AS original) FROM {{table}}")
    found = made.found("dead letters")
    assert (found == []) is right, found
    made.engine.__exit__(None, None, None)


def test_without_the_first_dead_letters_the_rest_is_compared(tmp_path):
    bad = [binance(number, number * 10_000, p="none") for number in range(5)]
    values = [*bad[:2], binance(9, 90_000), *bad[2:]]
    letters = [(topics.raw("binance"), offset, values[offset]) for offset in (1, 3, 5)]
    made = Layers(tmp_path, {"binance": values}, letters)
    raw = f"dead letters: {topics.raw('binance')}[0] offset"
    missing = "letter is missing, expected present"
    assert made.found("dead letters", begun=[topics.DLQ]) == [f"{raw} 4: {missing}"]
    assert len(made.found("dead letters")) == 2
    made.change("letters", "SELECT * REPLACE (if(offset = 1, 'hot', stage) AS stage) FROM {table}")
    assert made.found("dead letters", begun=[topics.DLQ]) == [f"{raw} 4: {missing}"]
    made.change("letters", "SELECT * FROM {table} WHERE offset = 1")
    assert made.found("dead letters", begun=[topics.DLQ]) == []
    made.engine.__exit__(None, None, None)


def test_a_late_trade_is_in_its_topic_with_its_content(layers):
    for query, expected in (
        ("SELECT * FROM right WHERE 0", "late topic: binance raw record 0:13: row is missing"),
        (
            "SELECT * REPLACE ('BUY' AS side, 1 AS price) FROM right WHERE late",
            "late topic: binance raw record 0:13: ",
        ),
        ("SELECT * FROM right WHERE late OR raw_offset = 1", "row is present, expected absent"),
    ):
        try:
            layers.change("late", query)
            found = layers.found("late topic")
        finally:
            layers.change("late", "SELECT * FROM right WHERE late")
        assert any(expected in item for item in found), found


def test_what_has_expired_is_not_missed_and_what_came_after_is(layers):
    """The canonical topic begins with the record of raw offset 4; Kraken's are all gone."""
    layers.engine.table("whole_table", "SELECT * FROM canonical")
    try:
        layers.change("canonical", "SELECT * FROM right WHERE exchange = 'binance' AND raw_offset >= 4")
        assert len(layers.found("canonical topic")) == 13
        assert layers.found("canonical topic", begun=[topics.NORMALIZED]) == []
        layers.change(
            "canonical",
            "SELECT * FROM right WHERE exchange = 'binance' AND raw_offset >= 4 AND raw_offset != 6",
        )
        (found,) = layers.found("canonical topic", begun=[topics.NORMALIZED])
        assert found == "canonical topic: binance raw record 0:6: row is missing, expected present"
    finally:
        layers.engine.run("DROP TABLE canonical")
        layers.engine.run("RENAME TABLE whole_table TO canonical")


AHEAD = 600_000  # ms: a trade's window opens after every raw record that is left was received


def test_a_window_with_a_trade_whose_raw_record_expired_is_not_compared(tmp_path):
    """Trades dated ahead: one is lost with its record, another of its window is left."""
    values = {"binance": [*RAW["binance"][:4], binance(4, 40_000, T=BASE + AHEAD)]}
    made = Layers(tmp_path, values, first=100)
    lost = "SELECT * REPLACE (99 AS raw_offset) FROM {table} WHERE sequence = 4"
    for layer in ("hot_silver", "cold_silver", "canonical"):
        made.change(layer, "SELECT * FROM {table} UNION ALL " + lost)
    opened = (BASE + AHEAD) // 60_000 * 60_000
    for table in ("table_candles", "topic_candles", "hot_candles", "cold_candles"):
        counted = f"if(open_time = {opened} AND timeframe = '1m', 2, trade_count) AS trade_count"
        made.change(table, f"SELECT * REPLACE ({counted}) FROM {{table}}")
    gold = ("candle tables", "candle topics", "ClickHouse gold", "Iceberg gold")
    assert made.found(*gold) == []
    for layer in ("hot_silver", "cold_silver", "canonical"):
        made.change(layer, "SELECT * FROM {table} WHERE raw_offset >= 100")
    assert len(made.found(*gold)) == len(gold)  # the same without it
    made.engine.__exit__(None, None, None)
