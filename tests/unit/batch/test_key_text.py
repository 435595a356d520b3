"""Keys as text and back, and their order."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch import window_key
from k2stream.batch._key_text import Bound, find, order, place_of, split, text_of
from k2stream.batch._windows import load_key

PLAIN = st.one_of(st.text(), st.integers(-(2**53), 2**53), st.none())
KEYS = st.recursive(PLAIN, lambda inner: st.tuples(inner, inner), max_leaves=4)


def found(keys, text, loads_key=load_key, size=None):
    return find(dict.fromkeys(keys), text, loads_key, size)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("page", "page"),
        ("42", "42"),
        ("a/b ü", "a/b ü"),
        (42, "42"),
        (("kraken", 1), '["kraken",1]'),
        (b"page", "page"),
        (b"\xff", "/w=="),
        (Decimal("1.50"), "1.50"),
        (None, "null"),
    ],
)
def test_text_is_itself_and_anything_else_its_json(key, text):
    assert text_of(place_of(key)) == text
    assert found([key, "other"], text) == [key]


def test_a_key_that_no_path_can_have_is_named_by_its_json():
    assert found(["", ".."], '""') == [""]
    assert found(["", ".."], '".."') == [".."]


def test_text_comes_before_what_it_is_as_json():
    assert found(["42", 42], "42") == ["42"]
    assert found([1], "true") == []
    assert found([True], "true") == [True]


@given(st.lists(KEYS, min_size=1, unique_by=lambda key: text_of(place_of(key))))
def test_every_key_is_found_by_its_text(keys):
    for key in keys:
        assert found(keys, text_of(place_of(key))) == [key]


def test_keys_of_a_codec_of_ones_own_are_found():
    class Pair(msgspec.Struct, frozen=True):
        left: str
        right: int

    pair = Pair("a", 1)
    assert text_of(place_of(pair)) == '{"left":"a","right":1}'
    assert found([pair], text_of(place_of(pair)), msgspec.json.Decoder(Pair).decode) == [pair]
    # Also where its text and its codec do not say how it is made.
    assert found([Pair("b", 2), pair], text_of(place_of(pair)), lambda raw: None) == [pair]


def test_a_window_is_its_key_and_start():
    key = window_key("binance:BTC/USDT", 1_700_000_040.0, 60.0)
    text = text_of(place_of(key, windowed=True), windowed=True)
    assert text == "binance:BTC/USDT@2023-11-14T22:14:00Z"
    for spelling in (text, "binance:BTC/USDT@1700000040000", "binance:BTC/USDT@2023-11-14T23:14:00+01:00"):
        assert found([key], spelling, size=60.0) == [key]
    assert found([key], "binance:BTC/USDT", size=60.0) == []
    assert found([key], "binance:BTC/USDT@2023-11-14T22:15:00Z", size=60.0) == []


@given(PLAIN, st.integers(0, 10**11), st.sampled_from([0.5, 60.0, 3600.0]))
def test_every_window_is_found_by_its_text(plain, ms, size):
    key = window_key(plain, ms / 1000, size)
    text = text_of(place_of(key, windowed=True), windowed=True)
    assert found([key], text, size=size) == [key]


def test_a_start_in_no_calendar_is_shown_in_ms():
    text = text_of(["a", 1e13], windowed=True)
    assert text == "a@10000000000000000"


def test_what_is_no_time_belongs_to_the_key():
    assert split("user@home") == ("user@home", None)
    assert split("a@b@60000") == ("a@b", 60.0)


@given(st.lists(KEYS))
def test_the_order_survives_the_way_between_workers(keys):
    sent = msgspec.json.decode(msgspec.json.encode(list(map(place_of, keys))))
    assert list(map(order, sent)) == list(map(order, map(place_of, keys)))


def test_numbers_are_ordered_as_numbers_and_text_as_text():
    assert sorted([10, 9, "10", "9", None, ("a", 10), ("a", 9)], key=lambda key: order(place_of(key))) == [
        None, 9, 10, "10", "9", ("a", 9), ("a", 10),
    ]  # fmt: skip


def test_a_bound_is_compared_as_what_the_key_is():
    bound = Bound.read("9")
    assert [key for key in (8, 9, 10) if order(key) >= bound.against(key)] == [9, 10]
    assert [key for key in ("8", "9", "10", "a") if order(key) >= bound.against(key)] == ["9", "a"]


def test_a_bound_without_a_start_is_before_all_windows_of_its_key():
    places = [["a", 60.0], ["b", 0.0], ["b", 60.0]]
    for text, after in (("b", 1), ("b@0", 1), ("b@60000", 2), ("b@60001", 3)):
        bound = Bound.read(text, windowed=True)
        assert [place for place in places if order(place) >= bound.against(place)] == places[after:]
