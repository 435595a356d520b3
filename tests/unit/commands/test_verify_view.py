"""What `k2 verify` says: why rows were not compared, and a verdict in one line."""

import io

import pytest
from rich.console import Console

from k2stream.commands.output import Printer
from k2stream.commands.views.verify import report_shown, verdict
from k2stream.model.comparison import Comparison
from k2stream.reconcile.oracle.run import Report

COUNTS = {"raw": 12_000_000, "duplicates": 0, "dead letters": 3, "normalized": 12_000_000, "late": 15}
COUNTS |= {"bronze": 12_000_000, "silver": 12_000_000, "cold bronze": 11_000_000, "cold silver": 11_000_000}


def report(*comparisons):
    return Report({"coinbase": COUNTS}, 1_234_567, list(comparisons))


def printed(found):
    text = io.StringIO()
    Console(file=text, width=80).print(report_shown(found))
    return text.getvalue()


def missing(layer, rows):
    made = Comparison(layer, 100)
    made.rows("missing", [f"row {number}" for number in range(rows)])
    return made


def different(layer):
    made = Comparison(layer, 100)
    made.values("a candle", {"open": 1}, {"open": 2})
    return made


def test_a_layer_that_is_behind_says_so_and_every_column_is_explained():
    silver = Comparison("ClickHouse silver", 12_345_678, 1_234_567, 12)
    cold = Comparison("Iceberg silver", 11_000_000, coming=1_345_678, skipped=1_000, reason="of long ago")
    text = printed(report(silver, cold))
    assert max(map(len, text.splitlines())) <= 80
    assert "duplicates" in text and "dead letters" in text  # no word is broken over lines
    assert "1,345,678" in text
    assert "moved on: compared, with trades" in text
    assert "coming: behind, rows that came after this began are still on their way" in text
    assert "Iceberg silver: 1,000 not compared: of long ago" in text


def test_nothing_is_explained_that_is_not_there():
    text = printed(report(Comparison("Iceberg silver", 11)))
    assert "moved on:" not in text and "coming:" not in text


@pytest.mark.parametrize(
    ("comparisons", "said"),
    [
        ([Comparison("gold", 3)], "OK: every layer agrees, 1,234,567 candles recomputed, 0 differences"),
        (
            [missing("Iceberg gold", 2), Comparison("gold", 3)],
            "2 rows are missing in Iceberg gold: late or lost, so verify again in a minute",
        ),
        ([missing("Iceberg gold", 2), different("gold")], "3 differences in Iceberg gold, gold"),
    ],
)
def test_the_verdict_is_one_line(comparisons, said):
    assert verdict(report(*comparisons)).plain == said


def test_a_verdict_is_for_people(capsys):
    for as_json in (False, True):
        Printer(as_json).verdict(verdict(report()))
    assert capsys.readouterr().out == "OK: every layer agrees, 1,234,567 candles recomputed, 0 differences\n"


def test_each_step_is_said_where_there_is_no_terminal(capsys):
    with Printer(as_json=True).working() as say:
        say("reading the layers")
        say("comparing layer 1 of 12")
    assert capsys.readouterr().err.splitlines() == ["reading the layers", "comparing layer 1 of 12"]
