"""What is compared beside a running platform, and of layers that have expired in part."""

import numpy as np
import pytest

from k2stream.reconcile.oracle.raw import unbroken
from tests.unit.reconcile.oracle.kit import Layers
from tests.unit.reconcile.oracle.test_compare import BAD, BASE, LETTERS, RAW, binance

TABLES = (
    *("canonical", "late", "hot_silver", "cold_silver", "table_candles", "topic_candles", "hot_candles"),
    *("cold_candles", "hot_bronze_binance", "cold_bronze_binance"),
)


@pytest.fixture
def build(tmp_path):
    made = []

    def layers(values, name="a", **options):
        (tmp_path / name).mkdir()
        made.append(Layers(tmp_path / name, values, **options))
        return made[-1]

    yield layers
    for one in made:
        one.engine.__exit__(None, None, None)


def take(layers, other):
    """Let layers hold what others hold."""
    for table in TABLES:
        layers.change(table, f"SELECT * FROM {other.engine._database}.{table}")


def test_layers_that_go_on_are_compared_as_far_as_they_are(build):
    """The raw topic had 8 records when it began; the layers have 12, the topic 15 by now."""
    values = {"binance": RAW["binance"]}
    layers = build(values, letters=LETTERS, required=8)
    take(layers, build({"binance": RAW["binance"][:12]}, "b"))
    assert layers.found() == []
    moved_on = {part.layer: part.newer for part in layers.compare("ClickHouse gold", "candle tables")}
    assert all(moved_on.values())
    wrong = "SELECT * REPLACE (if(raw_offset = 10, 1, {}) AS {}) FROM {{table}}"
    layers.change("hot_silver", wrong.format("price", "price"))
    layers.change("hot_candles", "SELECT * REPLACE (if(timeframe = '1h', 1, volume) AS volume) FROM {table}")
    layers.change("cold_silver", "SELECT * FROM {table} WHERE raw_offset != 7")
    layers.change("cold_bronze_binance", "SELECT * FROM {table} WHERE raw_offset != 9")
    found = [item.partition(", expected")[0] for item in layers.found()]
    assert found == [
        f"ClickHouse gold: binance BTCUSDT 1h candle at {BASE - 14 * 60_000}: volume is 1",
        "ClickHouse silver: binance raw record 0:10: price is 1",
        "Iceberg silver: binance raw record 0:7: row is missing",
    ]


def test_rows_that_are_behind_may_be_on_their_way_and_wrong_ones_are_not(build):
    layers = build({"binance": RAW["binance"][:12]})
    layers.change("hot_silver", "SELECT * FROM {table} WHERE raw_offset < 11")
    assert [part.waiting for part in layers.compare("ClickHouse silver")] == [True]
    layers.change("hot_silver", "SELECT * REPLACE ('BUY' AS side) FROM {table}")
    assert [part.waiting for part in layers.compare("ClickHouse silver")] == [False]


def test_without_the_first_raw_records_the_rest_is_compared(build):
    """The raw topic begins at offset 5 and no tier has what was before."""
    whole = build(RAW, letters=LETTERS)
    rest = build({name: values[5:] for name, values in RAW.items()}, "b", letters=LETTERS, first=5)
    take(rest, whole)
    assert rest.found() == []
    compared = {part.layer: (part.compared, part.skipped) for part in rest.compare()}
    assert compared["ClickHouse silver"] == (
        6,
        16,
    )  # the late trade, a trade before and all of Kraken's are not
    assert compared["ClickHouse gold"] == (3, 12)  # what opens with the second minute
    rest.change("hot_silver", "SELECT * REPLACE (if(raw_offset = 9, 'X', symbol) AS symbol) FROM {table}")
    rest.change("hot_candles", "SELECT * REPLACE (high + 1 AS high) FROM {table}")
    assert {item.partition(":")[0] for item in rest.found()} == {"ClickHouse gold", "ClickHouse silver"}


def test_what_silver_may_have_dropped_is_not_missed(build):
    old = [binance(number, number * 1_000 - 40 * 86_400_000) for number in range(3)]
    layers = build({"binance": [*old, *(binance(number, number * 1_000) for number in range(3, 6))]})
    layers.change("hot_silver", "SELECT * FROM {table} WHERE raw_offset >= 3")
    assert layers.found("ClickHouse silver") == []
    layers.change("hot_silver", "SELECT * FROM {table} WHERE raw_offset > 3")
    assert layers.found("ClickHouse silver") == [
        "ClickHouse silver: binance raw record 0:3: row is missing, expected present"
    ]


def test_a_trade_in_doubt_is_there_or_a_dead_letter(build):
    """The same id with other content, soon after: ids that start again, or a mistake of the exchange."""
    values = [binance(1, 0), binance(2, 1_000), binance(1, 2_000, p="77")]
    kept = build({"binance": values})
    assert kept.found() == []
    kept.change("hot_silver", "SELECT * FROM {table} WHERE raw_offset != 2")
    assert kept.found("ClickHouse silver") != []
    given_up = build({"binance": values}, "b", letters=[(LETTERS[0][0], 2, values[2])])
    assert given_up.found() == []
    assert BAD not in values


@pytest.mark.parametrize(
    ("stored", "first"),
    [
        ([5, 6, 7, 8, 9], 5),
        ([9, 7, 8, 5, 6, 12], 5),  # in no order, and of the new log
        ([5, 6, 8, 9], 8),  # one that only a cut log had
        ([5, 6, 7, 8, 11], 10),  # nothing is known of the one right below
        ([12], 10),
        ([], 10),
    ],
)
def test_what_is_known_below_a_topics_beginning_ends_at_the_last_gap(stored, first):
    assert unbroken(np.array(stored, np.int64), 10) == first
