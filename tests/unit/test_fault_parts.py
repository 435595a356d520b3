"""The long suites in parts: each test in exactly one, about equally long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fault import parts
from tests.fault.parts import Part


@given(st.dictionaries(st.text(max_size=5), st.floats(0, 600)), st.integers(1, 5))
def test_each_test_is_in_one_part(seconds, count):
    names = sorted(seconds)
    found = [parts.chosen(names, seconds, Part(number, count)) for number in range(1, count + 1)]
    assert sorted(name for part in found for name in part) == names
    loads = [sum(seconds[name] for name in part) for part in found]
    assert max(loads) - min(loads) <= max(seconds.values(), default=0)


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/0"])
def test_what_is_no_part_says_how_it_is_written(text):
    with pytest.raises(ValueError, match="the second of three"):
        parts.parse(text)


def test_results_are_kept_by_test(tmp_path):
    results = tmp_path / "results.json"
    parts.keep([("a", "passed", 1.04), ("b", "failed", 2.0)], results)
    parts.keep([("b", "passed", 3.0)], results)
    assert parts.durations(results) == {"a": 1.0, "b": 3.0}
    assert results.read_text().count("passed") == 2
