"""Reconnect delays."""

import random

import pytest

from k2stream.backoff import Backoff


def test_ranges_double_up_to_the_cap():
    ranges = []

    def uniform(low, high):
        ranges.append((low, high))
        return high

    backoff = Backoff(1, 60, uniform=uniform)
    assert [backoff.next() for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert {low for low, _ in ranges} == {1}
    backoff.reset()
    assert backoff.next() == 2


def test_delays_are_spread_over_the_range():
    drawn = random.Random(1)
    delays = []
    for _ in range(200):
        backoff = Backoff(1, 60, uniform=drawn.uniform)
        delays.append([backoff.next() for _ in range(10)][-1])
    assert all(1 <= delay <= 60 for delay in delays)
    assert min(delays) < 5
    assert max(delays) > 55


@pytest.mark.parametrize(("base", "cap"), [(5, 2), (2, 2)])
def test_cap_below_the_base_wins(base, cap):
    assert Backoff(base, cap).next() == cap
