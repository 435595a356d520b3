"""How long a file and a function may be. The lists of what is longer only shrink."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CODE = ("k2stream", "agents", "tables")
TESTS = ("tests", "benchmarks", "examples")

LONGEST_FILE, LONG_FILE, LONGEST_FUNCTION = 330, 250, 70
"""In lines. A new file of the code stays below the second."""

LONG = [
    "k2stream/avro/trade_decoder.py",
    "k2stream/batch/_consumer.py",
    "k2stream/batch/_fetch.py",
    "k2stream/batch/_guard.py",
    "k2stream/batch/_producer.py",
    "k2stream/batch/_table.py",
    "k2stream/clickhouse/destination.py",
    "k2stream/delivery/sink.py",
    "k2stream/exchanges/binance.py",
    "k2stream/feed/feed.py",
    "k2stream/model/decimals.py",
    "k2stream/platform/platform.py",
    "k2stream/simulator/venue.py",
]
"""Files of the code above LONG_FILE."""

OWED_FILES = [
    "tests/integration/test_candles.py",
    "tests/integration/test_clickhouse_front.py",
    "tests/integration/test_cold_maintenance.py",
    "tests/integration/test_replays.py",
    "tests/integration/test_sinks_clickhouse.py",
    "tests/unit/backfill/test_fill.py",
    "tests/unit/batch/test_assumptions.py",
    "tests/unit/feed/test_feed.py",
    "tests/unit/normalizer/test_normalizer.py",
]
"""Files of tests above LONGEST_FILE: to be split by subject."""

OWED_FUNCTIONS = [
    "tests/integration/test_replays.py:test_letters_go_back_once_and_a_failed_replay_is_seen_as_one",
]
"""Functions above LONGEST_FUNCTION."""


def files(folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each file's path from the root, and its text; what links lead to is read where it is."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.parent.is_symlink():
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def longer_files(folders: tuple[str, ...], lines: int) -> dict[str, int]:
    return {path: length for path, text in files(folders) if (length := len(text.splitlines())) > lines}


def longer_functions(folders: tuple[str, ...], lines: int) -> dict[str, int]:
    found = {}
    for path, text in files(folders):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > lines:
                    found[f"{path}:{node.name}"] = length
    return found


def check(found: dict[str, int], listed: list[str], name: str, limit: int) -> None:
    more = {place: length for place, length in found.items() if place not in listed}
    assert not more, f"{more}: at most {limit} lines. Split it by what would make it change"
    done = sorted(set(listed) - found.keys())
    assert not done, f"{done}: no longer above {limit} lines: take it off {name}, which only shrinks"


def test_no_file_of_the_code_is_too_long_and_no_further_one_gets_long() -> None:
    check(longer_files(CODE, LONGEST_FILE), [], "", LONGEST_FILE)
    check(longer_files(CODE, LONG_FILE), LONG, "LONG", LONG_FILE)


def test_no_further_file_of_tests_gets_too_long() -> None:
    check(longer_files(TESTS, LONGEST_FILE), OWED_FILES, "OWED_FILES", LONGEST_FILE)


def test_no_further_function_gets_too_long() -> None:
    found = longer_functions((*CODE, *TESTS), LONGEST_FUNCTION)
    check(found, OWED_FUNCTIONS, "OWED_FUNCTIONS", LONGEST_FUNCTION)


def test_a_list_names_what_is_on_it_for_nothing() -> None:
    with pytest.raises(AssertionError, match="take it off LONG"):
        check({}, ["k2stream/app.py"], "LONG", LONG_FILE)
    with pytest.raises(AssertionError, match="at most 250 lines"):
        check({"k2stream/app.py": 251}, [], "LONG", LONG_FILE)
