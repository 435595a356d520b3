"""Frame numbers in any order: lost is what never came, once."""

from hypothesis import given
from hypothesis import strategies as st

from k2stream.model.frames import FrameCounter


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_what_never_came_between_the_first_and_the_highest_is_lost(numbers):
    counter = FrameCounter()
    for at, number in enumerate(numbers):
        counter.add(number, at)
    lost = [number for gap in counter.take(len(numbers)) for number in range(gap.first, gap.last + 1)]
    assert lost == sorted(set(range(numbers[0], max(numbers))) - set(numbers))
    assert counter.take(len(numbers)) == []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(0, 60))
def test_a_gap_is_told_where_it_was_seen(numbers, until):
    counter = FrameCounter()
    for at, number in enumerate(numbers):
        counter.add(number, at)
    for gap in counter.take(until):
        assert gap.since < gap.at <= until
        assert numbers[gap.since] < gap.first <= gap.last < numbers[gap.at]
    assert all(gap.at > until for gap in counter.missing)
