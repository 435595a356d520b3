"""Choosing, summing up and showing dead letters."""

from typing import Any

from k2stream.deadletter import DeadLetter
from k2stream.dlq.dead_letters import LetterFilter, origin, readable, summary


def letter(**fields):
    given: dict[str, Any] = {"cause": "bad", "exchange": "kraken", "time": 0, "original": ""}
    return DeadLetter(**{**given, "stage": "normalize", **fields})


def test_a_choice_takes_what_fits_all_of_it():
    one = letter(cause="price 'x': no number")
    assert LetterFilter().matches(3, one)
    assert LetterFilter("kraken", "normalize", "no number", {3}).matches(3, one)
    others = (
        LetterFilter("binance"),
        LetterFilter(stage="ingest"),
        LetterFilter(cause="quantity"),
        LetterFilter(numbers={4}),
    )
    assert not any(choice.matches(3, one) for choice in others)


def test_causes_that_differ_in_values_count_together():
    letters = [
        letter(cause="price 'zero': not a number"),
        letter(cause="price '-1': not a number"),
        letter(cause="JSON is malformed: invalid character (byte 17)"),
        letter(cause="JSON is malformed: invalid character (byte 4)", stage="ingest"),
    ]
    assert {(c.stage, c.cause): n for c, n in summary(letters).items()} == {
        ("normalize", "price …: not a number"): 2,
        ("normalize", "JSON is malformed: invalid character (byte …)"): 1,
        ("ingest", "JSON is malformed: invalid character (byte …)"): 1,
    }


def test_where_a_letter_comes_from():
    assert origin(letter(topic="raw", partition=1, offset=9)) == "raw[1] offset 9"
    assert origin(letter(connection="conn-2")) == "connection conn-2"


def test_originals_are_text_where_they_are_text():
    assert readable(b'{"a":"\xc3\xa9"}') == '{"a":"é"}'
    assert readable(b"\xff\x00") == r"b'\xff\x00'"
    assert readable(b"a\x1b[2J") == r"b'a\x1b[2J'"
