"""What an audit says of rows that are missing, doubled, in no topic, or different."""

from datetime import UTC, datetime

import numpy as np

from k2stream.model.comparison import Comparison
from k2stream.reconcile.audit import compare

KRAKEN = ("kraken", 0)
OPENED = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
BTC = ("kraken", "BTC/USD", OPENED)


def offsets(*numbers):
    return {KRAKEN: np.array(numbers, np.int64)}


def trades(expected, found, *, all_known=True):
    return compare.trades(Comparison("cold.some"), expected, found, all_known=all_known).summary()


def partitions(cold, hot):
    result = Comparison("cold.some")
    compare.partitions(result, cold, hot)
    return compare.verdict(result, 0)


def candles(cold, hot, pending=()):
    result = Comparison("cold.some")
    compare.candles(result, cold, hot, pending, ("revision", "close"))
    return compare.verdict(result, 0)


def test_the_same_rows_do_not_differ():
    assert trades(offsets(1, 2, 3), offsets(3, 1, 2)) == ""
    assert trades(offsets(1, 1, 2), offsets(1, 2)) == ""  # a replay in the topic
    assert trades({}, {}) == ""


def test_missing_rows_are_reported_with_their_first_offsets():
    first = ", ".join(f"kraken[0] offset {offset}" for offset in (3, 4, 5))
    assert trades(offsets(*range(1, 8)), offsets(1, 2)) == f"5 missing: {first}, …"
    assert trades(offsets(7), {}) == "1 missing: kraken[0] offset 7"


def test_doubled_rows_and_rows_of_no_topic_are_errors():
    assert trades(offsets(1, 2), offsets(1, 1, 1, 2)) == "2 there more than once: kraken[0] offset 1"
    assert trades(offsets(1), offsets(1, 2)) == "1 should not be there: kraken[0] offset 2"
    assert trades(offsets(1), offsets(1, 2), all_known=False) == ""  # older than the topic


def test_counts_of_partitions():
    assert partitions({"2026-01-01": 5}, {"2026-01-01": 5}).status == "OK"
    assert partitions({"a": 4}, {"a": 5, "b": 1}) == (
        "MISSING",
        0,
        "2 missing: 1 rows of partition a that ClickHouse has, 1 rows of partition b that ClickHouse has",
    )
    assert partitions({"a": 6}, {"a": 5}).status == "ERROR"


def test_candles_by_value():
    assert candles({BTC: (1, 2)}, {BTC: (1, 2)}).status == "OK"
    assert candles({BTC: (1, 2)}, {BTC: (1, 3)}) == (
        "ERROR", 0, "1 different: kraken BTC/USD 2026-01-01 12:30: close is 2, expected 3",
    )  # fmt: skip
    assert candles({}, {BTC: (1, 2)}).status == "MISSING"
    assert candles({BTC: (1, 2)}, {}).status == "ERROR"


def test_a_candle_that_is_on_its_way_is_not_compared():
    assert candles({BTC: (1, 2)}, {BTC: (2, 3)}, {BTC}).status == "OK"
    assert candles({}, {BTC: (2, 3)}, {BTC}).status == "OK"


def test_a_missing_row_outweighs_a_wrong_one():
    result = Comparison("cold.some")
    assert compare.verdict(result, 3) == ("OK", 3, "")
    result.rows("surplus", ["e"])
    assert compare.verdict(result, 3) == ("ERROR", 3, "1 should not be there: e")
    result.rows("missing", ["m"])
    assert compare.verdict(result, 3) == (
        "MISSING",
        3,
        "1 missing: m; 1 should not be there: e",
    )
