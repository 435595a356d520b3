"""When a partition counts as stalled."""

from faust.types import TP

from k2stream.batch._stall import StallClock, Work

A, B = TP("t", 0), TP("t", 1)


def test_only_work_without_progress_counts():
    clock = StallClock(longest=10)
    assert clock.observe(0, {A: Work(5, 1), B: Work(0, 1)}) == {A: 0.0}
    assert clock.observe(4, {A: Work(9, 1), B: Work(0, 1)}) == {A: 4.0}
    assert clock.observe(8, {A: Work(9, 1), B: Work(2, 1)}) == {A: 8.0, B: 0.0}
    assert clock.observe(12, {A: Work(9, 2), B: Work(2, 1)}) == {A: 0.0, B: 4.0}


def test_a_rebalance_starts_anew():
    clock = StallClock(longest=10)
    clock.observe(0, {A: Work(5, 1)})
    clock.observe(5, {})
    assert clock.observe(10, {A: Work(5, 1)}) == {A: 0.0}


def test_a_process_that_was_stopped_is_not_stalled():
    clock = StallClock(longest=10)
    clock.observe(0, {A: Work(5, 1)})
    assert clock.observe(3600, {A: Work(5, 1)}) == {A: 10.0}
