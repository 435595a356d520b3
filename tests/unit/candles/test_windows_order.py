"""The index of windows finds the oldest and the newest as its whole list would say."""

from hypothesis import given
from hypothesis import strategies as st

from k2stream.candles.windows import Windows

MINUTE = 60_000
KEY = "x:BTC/USDT"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), unique_by=lambda each: each[0]), st.integers(0, 22)
)
def test_oldest_and_newest_are_those_of_all(windows, before):
    index = Windows(retention=500)
    for number, closed in windows:
        (index.closed if closed else index.opened)("1m", KEY, number * MINUTE)
        index.opened("5m", KEY, number * 5 * MINUTE)
    times = sorted(number * MINUTE for number, _ in windows)
    assert index.open_times("1m", KEY) == times
    assert index.oldest("1m", KEY) == (times[0] if times else None)
    earlier = [time for time in times if time < before * MINUTE]
    assert index.newest("1m", KEY, before * MINUTE) == (earlier[-1] if earlier else None)
