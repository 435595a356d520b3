from faust.windows import TumblingWindow
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch._windows import (
    dump_key,
    dump_window_key,
    load_key,
    load_window_key,
    window_key,
    window_of,
)

keys = st.recursive(st.text() | st.integers(-(2**63), 2**63 - 1), lambda inner: st.tuples(inner, inner))


@given(keys)
def test_a_key_survives_the_changelog(key):
    assert load_key(dump_key(key)) == key


@given(keys, st.integers(0, 2_000_000_000), st.sampled_from([60, 300, 900, 3600, 86400]))
def test_a_windowed_key_survives_the_changelog(key, start, size):
    table_key = window_key(key, start, size)
    assert load_window_key(dump_window_key(table_key)) == table_key
    assert window_of(table_key) == (key, start, start + size)


@given(st.integers(0, 4_000_000_000), st.sampled_from([60, 300, 900, 3600, 86400]))
def test_a_windowed_key_is_the_one_faust_looks_up(timestamp, size):
    start = timestamp // size * size
    assert window_key("k", start, size)[1] == tuple(TumblingWindow(size).current(timestamp))


def test_bounds_are_written_as_floats_whatever_was_passed():
    assert (
        dump_window_key(("k", (60, 119.9))) == dump_window_key(("k", (60.0, 119.9))) == b'["k",[60.0,119.9]]'
    )
