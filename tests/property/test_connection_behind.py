"""A connection that is far behind another, as that of a worker that was frozen: nothing counts twice."""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from k2stream.exchanges.spec import Continuity
from k2stream.normalizer.continuity import ContinuityState, check, content_ids, reports
from tests.property.test_continuity import cut, cuts, without_ids

START = 1_700_000_000_000_000
STEP_US = 20_000


def traded(count):
    """Every third trade has an equal one beside it."""
    return [(START + number // 3 * 3 * STEP_US, str(number % 3 // 2)) for number in range(count)]


def checked(rows, bounds):
    """Rows are (link, time, price), the link "" for a trade that was fetched."""
    keep, doubtful, states = [], {}, {}
    for start, stop in pairwise(bounds):
        made = without_ids(rows[start:stop])
        made.backfilled = ["" if link else f"x-rest-1:{start + row}" for row, link in enumerate(made.link)]
        result = check(Continuity.NONE, made, states)
        states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
        doubtful |= {start + row: cause for row, cause in result.doubtful.items()}
        keep += result.keep.tolist()
    return keep, doubtful


def second(happened, begin, end, fetched, links):
    """What a second worker and the gap filler report of a time in which the first one is frozen."""
    connected = min(begin + -(begin + fetched) % 3 + fetched, end) if fetched else begin
    rows = []
    per_link = max(3, (end - connected) // links // 3 * 3)
    for at in range(connected, end):
        equal = max(at - at % 3, connected)  # equal trades come over one connection
        link = min((equal - connected) // per_link, links - 1)
        rows.append((f"b{link}" if fetched or link else "b", *happened[at]))
    rows[20:20] = [("", *trade) for trade in happened[begin:connected]]
    return rows


@given(
    st.integers(0, 900), st.integers(0, 900), st.integers(1, 60), st.integers(0, 400), st.integers(1, 8), cuts
)
@example(30, 900, 5, 0, 1, [])
@example(300, 800, 5, 200, 1, [])
@example(300, 800, 5, 0, 8, [])
@example(300, 800, 5, 200, 8, [])
def test_what_another_has_reported_meanwhile_is_a_repeat_or_a_dead_letter(
    frozen, awake, together, fetched, links, at
):
    happened = traded(1000)
    frozen, awake = sorted((frozen, awake))
    meanwhile = second(happened, frozen, awake, fetched, links)
    now = next((link for link, *_ in reversed(meanwhile) if link), "b")
    rows = [(link, *trade) for trade in happened[:frozen] for link in "ab"] + meanwhile
    rows += [("a", *trade) for trade in happened[frozen:awake]]
    for begin in range(awake, len(happened), together):
        rows += [(link, *trade) for link in (now, "a") for trade in happened[begin : begin + together]]
    keep, doubtful = checked(rows, [0, *sorted(cut(rows, at)), len(rows)])
    assert Counter(row[1:] for row, good in zip(rows, keep, strict=True) if good) == Counter(happened)
    assert {rows[row][0] for row in doubtful} <= {"a"}
    assert set(doubtful.values()) <= {content_ids.FORGOTTEN}
    if awake - frozen <= content_ids.RECENT:
        assert not doubtful
    if awake - frozen - fetched > content_ids.RECENT * 3:
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


def test_a_state_of_the_release_before_others_were_remembered_is_read():
    state = msgspec.json.decode(b'{"told":[[],["a"],5,[[1,2,3]]]}', type=ContinuityState)
    assert state.reported is not None and state.reported.others == reports.LinkSpan()
    assert reports.is_forgotten(state.reported, "b", 2) and not reports.is_forgotten(state.reported, "b", 4)
