"""Whatever is logged becomes one JSON object on one line, or lines that a terminal can show."""

import json
import logging
import sys
from collections import namedtuple
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.logs.formats import LogFormatter
from k2stream.logs.reading import parsed, readable
from k2stream.logs.records import FIELDS

CONTEXT = {"role": "ingest", "worker": "ingest-kraken", "exchange": "kraken"}
REQUIRED = {"timestamp", "level", "logger", "event", "role", "worker", "pid"}

LEVELS = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL])
TEXTS = st.text(alphabet=st.characters(), max_size=50)  # lone surrogates too
VALUES = st.one_of(TEXTS, st.binary(max_size=50), st.integers(), st.floats(), st.none(), st.booleans())


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no")


def record(message, *arguments, level=logging.INFO, error=None, **extra):
    made = logging.LogRecord("some.logger", level, __file__, 1, message, arguments, error)
    vars(made).update(extra)
    return made


def as_json(made):
    (line,) = LogFormatter(CONTEXT, as_json=True).format(made).splitlines()
    assert line.isascii()
    return json.loads(line)


def raised(error):
    try:
        raise error
    except Exception:
        return sys.exc_info()


@given(TEXTS, st.lists(VALUES, max_size=3), LEVELS, st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_record_is_one_line_of_json_with_all_fields(message, arguments, level, extra):
    found = as_json(record(message, *arguments, level=level, **extra))
    assert found.keys() >= REQUIRED
    assert found["level"] == logging.getLevelName(level).lower()
    assert set(extra) <= found.keys()
    for name, value in extra.items():
        if isinstance(value, int):
            assert found[name] == value
        elif value is not None:
            assert isinstance(found[name], str)


@given(st.text(max_size=50))
def test_a_message_is_kept_to_the_character(message):
    assert as_json(record("%s", message))["event"] == message.rstrip()


@given(TEXTS)
def test_a_traceback_is_a_field_of_its_line(message):
    found = as_json(record("failed", error=raised(ValueError(message))))
    assert found["event"] == "failed"
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert "ValueError" in found["exception"]


@given(TEXTS, st.lists(VALUES, max_size=3))
def test_a_terminal_gets_one_line_that_cannot_control_it(message, arguments):
    (line,) = LogFormatter(CONTEXT, as_json=False).format(record(message, *arguments)).splitlines()
    assert all(ord(character) >= 0x20 and ord(character) != 0x7F for character in line)
    assert "[info" in line and "[some.logger]" in line


@pytest.mark.parametrize("as_json", [True, False])
def test_arguments_that_do_not_fit_or_cannot_be_shown_are_still_said(as_json):
    formatter = LogFormatter({}, as_json=as_json)
    assert "'%d of %d' (1,)" in formatter.format(record("%d of %d", 1))
    assert "cannot be shown: RuntimeError" in formatter.format(record("%s", Unshowable()))
    assert "cannot be shown: RuntimeError" in formatter.format(record("event", symbol=Unshowable()))


def test_what_libraries_subscribe_to_is_in_order_and_bounded():
    Partition = namedtuple("Partition", "topic partition")
    assert as_json(record("to: %s", frozenset({"b", "a"})))["event"] == "to: a, b"
    assert as_json(record("to: %s", {Partition("t", 1), Partition("t", 0)}))["event"] == "to: t[0], t[1]"
    assert as_json(record("%s", set(map(str, range(25)))))["event"].endswith(" and 5 more")


def test_the_time_is_that_of_the_record_in_utc():
    made = record("event")
    time = datetime.fromisoformat(as_json(made)["timestamp"])
    assert time == datetime.fromtimestamp(made.created, UTC)


def test_what_a_message_concerns_is_more_than_what_its_process_does():
    found = as_json(record("event", exchange="binance", topic="t", partition=0, offset=7, other=1))
    assert [found[name] for name in ("exchange", "topic", "partition", "offset")] == ["binance", "t", 0, 7]
    assert "other" not in found
    assert as_json(record("event"))["exchange"] == "kraken"


def test_other_handlers_see_the_record_as_it_was():
    made = record("%d of %d", 1, 2, error=raised(ValueError("no")))
    as_json(made)
    assert made.args == (1, 2) and made.msg == "%d of %d" and made.exc_info


def test_colours_are_for_terminals_that_want_them():
    made = record("event", level=logging.ERROR)
    assert "\x1b[" in LogFormatter({}, as_json=False, colors=True).format(made)
    assert "\x1b[" not in LogFormatter({}, as_json=False).format(made)


@given(TEXTS)
def test_a_line_is_read_back_for_people(message):
    made = record(message, error=raised(ValueError("no disk")), partition=3)
    line = LogFormatter(CONTEXT, as_json=True).format(made)
    assert parsed(line) is not None
    first, *trace = readable(line).splitlines()
    assert "[info]" in first and "partition=3" in first
    assert trace[-1] == "ValueError: no disk"


@pytest.mark.parametrize("line", ["Error: no such table", "", "{", '{"simulated":true}', "[1]", "{}"])
def test_what_is_no_record_is_left_as_it_is(line):
    assert parsed(line) is None
    assert readable(line) == line
