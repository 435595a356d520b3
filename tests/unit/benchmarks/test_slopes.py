"""Slopes of a burn-in: the line through samples of known growth, and which processes it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.burn_in import growing, own
from benchmarks.slopes import Trend, trend, trends


@given(st.floats(-100, 100), st.floats(-1000, 1000))
def test_a_line_is_found_again(per_hour, start):
    found = trend([(at, start + per_hour * at / 3600) for at in range(600, 3600, 60)])
    assert found.per_hour == pytest.approx(per_hour, abs=1e-6)


def test_percent_is_of_the_mean():
    found = trend([(0.0, 98.0), (1800.0, 100.0), (3600.0, 102.0)])
    assert tuple(found) == pytest.approx((100.0, 4.0))
    assert found.percent_per_hour == pytest.approx(4.0)
    assert Trend(0.0, 0.0).percent_per_hour == 0.0


def test_one_moment_has_no_slope():
    with pytest.raises(ValueError, match="two moments"):
        trend([(60.0, 1.0), (60.0, 2.0)])


def process(memory):
    return {"pss_mb": memory, "files": 7.0}


def test_the_warm_up_and_processes_that_restarted_are_left_out():
    samples = [
        (0.0, {"hot": process(1.0), "kafka": process(9.0)}),
        (600.0, {"hot": process(100.0), "kafka": process(9.0), "cold": process(5.0)}),
        (4200.0, {"hot": process(103.0), "kafka": process(9.0)}),
    ]
    found = trends(samples, 600.0)
    assert found.keys() == {"hot", "kafka"}
    assert found["hot"]["pss_mb"].per_hour == pytest.approx(3.0)
    assert found["hot"]["files"].per_hour == 0.0
    assert trends(samples[:1], 600.0) == {}


def test_only_processes_of_k2_that_grow_are_named():
    flat, grows = {"pss_mb": Trend(100.0, 1.9)}, {"pss_mb": Trend(100.0, 2.1)}
    slopes = {"hot": flat, "cold": grows, "kafka": grows, "kafka/": {"disk_mb": Trend(100.0, 50.0)}}
    assert own(slopes) == ["hot", "cold"]
    assert growing(slopes, own(slopes)) == ["cold"]
