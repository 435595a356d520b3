"""The file of checks is read whole, and what is wrong in it is said."""

from datetime import UTC, datetime

import pytest
from clickhouse_driver import errors

from k2stream.model.errors import ConfigError
from k2stream.reconcile import checks
from k2stream.reconcile.checks import Check, Finding, Range
from k2stream.settings import Settings, make

DAY = Range(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))


class Server:
    """Answers with a count and one row, and remembers what it was asked."""

    def __init__(self, rows=0, error=None):
        self.rows, self.error, self.asked = rows, error, []

    def execute(self, query, with_column_types=False, settings=None):
        self.asked.append(query)
        if self.error:
            raise self.error
        return [(self.rows, 7)] if self.rows else [], [("all_rows", "UInt64"), ("id", "Int64")]


def test_every_check_has_a_name_of_its_own_and_says_what_it_proves():
    found = checks.read()
    assert len({check.name for check in found}) == len(found) >= 20
    for check in found:
        assert check.name.partition("_")[0] in ("bronze", "silver", "layer", "candle", "kline")
        assert len(check.proves) > 20
        assert check.sql.startswith("SELECT ")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;\n",
        "-- check: a | b\n",
        "-- check: a | b\nSELECT 1\n",
        "-- check: a\nSELECT 1;\n",
        "-- check: a | b\nSELECT 1;\nSELECT 2;\n",
    ],
)
def test_a_query_without_a_name_or_the_other_way_round_is_an_error(tmp_path, text):
    (tmp_path / "c.sql").write_text(text)
    with pytest.raises(ConfigError, match=r"^c\.sql: before line \d: expected one query"):
        checks.read(tmp_path / "c.sql")


def test_a_check_fails_with_its_count_and_an_example():
    wanted = [Check("a", "b", "SELECT x FROM ${database}.t WHERE x < ${since} OR x > ${grace}")]
    server = Server(rows=3)
    assert list(checks.run(server, make(grace_seconds=0.5), wanted, DAY)) == [
        Finding(wanted[0], 3, {"id": 7})
    ]
    since = "toDateTime64('2026-01-02 00:00:00.000000', 6, 'UTC')"
    wrong = f"SELECT x FROM k2.t WHERE x < {since} OR x > 500000"
    assert server.asked == [f"SELECT count() OVER () AS all_rows, * FROM ({wrong}) LIMIT 1"]
    assert [finding.ok for finding in checks.run(Server(), Settings(), wanted, DAY)] == [True]


def test_rows_that_are_on_their_way_are_waited_for():
    class Writing(Server):
        def execute(self, query, with_column_types=False, settings=None):
            self.rows = max(0, self.rows - 1)
            return super().execute(query, with_column_types, settings)

    pauses = []
    wanted = [Check("a", "b", "SELECT 1"), Check("c", "d", "SELECT 2")]
    found = checks.run(Writing(rows=4), Settings(), wanted, DAY, 10, pauses.append)
    assert [finding.ok for finding in found] == [True, True]
    assert sum(pauses) == 3
    found = checks.run(Server(rows=4), Settings(), wanted, DAY, 10, pauses.append)
    assert [finding.rows for finding in found] == [4, 4]
    assert sum(pauses) == 3 + 10  # over all checks


def test_what_is_missing_is_asked_of_rows_that_had_time_to_come():
    (missing,) = (check for check in checks.read() if check.name == "silver_missing")
    assert "b.receive_time < ${settled}" in missing.sql


def test_a_query_that_fails_is_no_pass():
    error = errors.ServerException("Unknown table t. Stack trace: 0. here", 60)
    (finding,) = checks.run(Server(error=error), Settings(), [Check("a", "b", "SELECT 1")], DAY)
    assert not finding.ok
    assert finding.error.endswith("Unknown table t.")


def test_no_server_is_told_in_one_line():
    server = Server(error=errors.NetworkError("refused"))
    with pytest.raises(ConfigError, match=r"^no ClickHouse at 127\.0\.0\.1:9000 \(.*refused\); start one"):
        list(checks.run(server, Settings(), [Check("a", "b", "SELECT 1")], DAY))
