"""A connection that is far behind another, as that of a worker that was frozen: nothing counts twice."""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from k2stream.exchanges.spec import Continuity
from k2stream.normalizer.continuity import ContinuityState, check, content_ids
from tests.property.test_continuity import cut, cuts, without_ids

START = 1_700_000_000_000_000
STEP_US = 20_000


def traded(count):
    """Every third trade has an equal one beside it."""
    return [(START + number // 3 * 3 * STEP_US, str(number % 3 // 2)) for number in range(count)]


def checked(rows, bounds):
    keep, doubtful, states = [], {}, {}
    for start, stop in pairwise(bounds):
        result = check(Continuity.NONE, without_ids(rows[start:stop]), states)
        states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
        doubtful |= {start + row: cause for row, cause in result.doubtful.items()}
        keep += result.keep.tolist()
    return keep, doubtful


@given(st.integers(0, 900), st.integers(0, 900), st.integers(1, 60), cuts)
@example(30, 900, 5, [])
def test_what_another_has_reported_meanwhile_is_a_repeat_or_a_dead_letter(frozen, awake, together, at):
    happened = traded(1000)
    frozen, awake = sorted((frozen, awake))
    rows = [(link, *trade) for trade in happened[:frozen] for link in "ab"]
    rows += [("b", *trade) for trade in happened[frozen:awake]]
    rows += [("a", *trade) for trade in happened[frozen:awake]]
    for begin in range(awake, len(happened), together):
        rows += [(link, *trade) for link in "ba" for trade in happened[begin : begin + together]]
    keep, doubtful = checked(rows, [0, *sorted(cut(rows, at)), len(rows)])
    assert Counter(row[1:] for row, good in zip(rows, keep, strict=True) if good) == Counter(happened)
    assert {rows[row][0] for row in doubtful} <= {"a"}
    assert set(doubtful.values()) <= {content_ids.FORGOTTEN}
    if awake - frozen <= content_ids.RECENT:
        assert not doubtful
    if awake - frozen > content_ids.RECENT * 3:
        assert doubtful


def test_what_the_exchange_itself_reports_late_is_a_trade_also_on_a_later_connection():
    happened = traded(1200)
    late = (happened[100][0] + 1, "7")
    rows = [("a", *trade) for trade in happened[:600]] + [("b", *trade) for trade in happened[600:]]
    keep, doubtful = checked([*rows, ("b", *late)], [0, len(rows) + 1])
    assert all(keep) and not doubtful


def test_what_comes_from_before_the_others_began_is_a_trade():
    happened = traded(1200)
    rows = [("b", *trade) for trade in happened[600:]] + [("a", *trade) for trade in happened[:600]]
    keep, doubtful = checked(rows, [0, len(rows)])
    assert all(keep) and not doubtful


def test_a_time_that_cannot_be_right_is_not_what_a_connection_has_reported():
    happened = traded(1200)
    rows = [("b", 0, "1"), *(("b", *trade) for trade in happened[600:])]
    rows += [("a", *trade) for trade in happened[:600]]
    usable = np.array([row[1] > 0 for row in rows])
    found = check(Continuity.NONE, without_ids(rows), {}, usable)
    assert found.keep.tolist() == usable.tolist() and not found.doubtful
