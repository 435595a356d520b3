"""What an audit says of rows that are missing, doubled, in no topic, or different."""

from datetime import UTC, datetime

import numpy as np

from k2stream.iceberg.maintenance.log import Problem
from k2stream.reconcile.audit import compare

KRAKEN = ("kraken", 0)
OPENED = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
BTC = ("kraken", "BTC/USD", OPENED)


def offsets(*numbers):
    return {KRAKEN: np.array(numbers, np.int64)}


def test_the_same_rows_are_no_problem():
    assert compare.trades(offsets(1, 2, 3), offsets(3, 1, 2), all_known=True) == []
    assert compare.trades(offsets(1, 1, 2), offsets(1, 2), all_known=True) == []  # a replay in the topic
    assert compare.trades({}, {}, all_known=True) == []


def test_missing_rows_are_told_with_their_first_offsets():
    assert compare.trades(offsets(*range(1, 8)), offsets(1, 2), all_known=True) == [
        Problem("MISSING", "kraken raw partition 0: 5 rows are missing, offsets 3, 4, 5, …")
    ]
    assert compare.trades(offsets(7), {}, all_known=True)[0].status == "MISSING"


def test_doubled_rows_and_rows_of_no_topic_are_errors():
    assert compare.trades(offsets(1, 2), offsets(1, 1, 1, 2), all_known=True) == [
        Problem("ERROR", "kraken raw partition 0: 2 rows are there more than once")
    ]
    assert compare.trades(offsets(1), offsets(1, 2), all_known=True)[0].status == "ERROR"
    assert compare.trades(offsets(1), offsets(1, 2), all_known=False) == []  # older than the topic


def test_counts_of_partitions():
    assert compare.partitions({"2026-01-01": 5}, {"2026-01-01": 5}) == []
    assert compare.partitions({"a": 4}, {"a": 5, "b": 1}) == [
        Problem("MISSING", "a: 4 rows, ClickHouse has 5"),
        Problem("MISSING", "b: 0 rows, ClickHouse has 1"),
    ]
    assert compare.partitions({"a": 6}, {"a": 5})[0].status == "ERROR"


def test_candles_by_value():
    columns = ("revision", "close")
    assert compare.candles({BTC: (1, 2)}, {BTC: (1, 2)}, (), columns) == []
    assert compare.candles({BTC: (1, 2)}, {BTC: (1, 3)}, (), columns) == [
        Problem("ERROR", "1 values differ: kraken BTC/USD 2026-01-01 12:30: close is 2, in ClickHouse 3")
    ]
    assert compare.candles({}, {BTC: (1, 2)}, (), columns)[0].status == "MISSING"
    assert compare.candles({BTC: (1, 2)}, {}, (), columns)[0].status == "ERROR"


def test_a_candle_that_is_on_its_way_is_not_compared():
    assert compare.candles({BTC: (1, 2)}, {BTC: (2, 3)}, {BTC}, ("revision", "close")) == []
    assert compare.candles({}, {BTC: (2, 3)}, {BTC}, ("revision", "close")) == []


def test_verdicts():
    missing, error = Problem("MISSING", "m"), Problem("ERROR", "e")
    assert compare.verdict(3, []) == ("OK", 3, "")
    assert compare.verdict(3, [error]) == ("ERROR", 3, "e")
    assert compare.verdict(3, [error, missing]) == ("MISSING", 3, "e; m")
