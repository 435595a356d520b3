"""What feed events say of a feed: its state, its gaps, how long it was down."""

from hypothesis import given
from hypothesis import strategies as st

from k2stream.model.events import EventKind, FeedEvent
from k2stream.web.ledger import DAY_US, FeedLedger
from k2stream.web.spans import Spans

SECOND = 1_000_000


def event(kind, time, **fields):
    return FeedEvent(kind=kind, exchange="x", time=time * SECOND, **fields)


def ledger(*events):
    made = FeedLedger()
    for each in events:
        made.add(each)
    return made


def test_a_feed_that_was_never_heard_of_is_unknown():
    assert ledger().feeds["x"].connected is None


def test_a_connection_that_is_lost_and_comes_back():
    made = ledger(
        event(EventKind.CONNECTED, 10),
        event(EventKind.DISCONNECTED, 20, detail="closed"),
    )
    assert (made.feeds["x"].connected, made.feeds["x"].detail) == (False, "closed")
    assert made.down_within("x", "A", 0, 25 * SECOND) == 5 * SECOND
    made.add(event(EventKind.CONNECTED, 50, since=20 * SECOND))
    assert (made.feeds["x"].connected, made.feeds["x"].reconnects) == (True, 1)
    assert made.down_within("x", "A", 30 * SECOND, 90 * SECOND) == 20 * SECOND


def test_one_symbol_may_be_down_alone():
    made = ledger(event(EventKind.CONNECTED, 10), event(EventKind.REFUSED, 20, symbol="A"))
    assert made.down_within("x", "A", 0, 30 * SECOND) == 10 * SECOND
    assert made.down_within("x", "B", 0, 30 * SECOND) == 0
    assert made.feeds["x"].connected is True


def test_a_feed_that_is_up_has_all_its_symbols():
    made = ledger(
        event(EventKind.CONNECTED, 10),
        event(EventKind.WITHDRAWN, 20, symbol="A", since=20 * SECOND),
        event(EventKind.DISCONNECTED, 22, since=22 * SECOND),
        event(EventKind.CONNECTED, 25, since=20 * SECOND),  # of the only symbol, which was down since then
    )
    assert made.down_within("x", "A", 0, 90 * SECOND) == 5 * SECOND


def test_a_symbol_that_is_refused_keeps_no_other_one_down():
    made = ledger(
        event(EventKind.CONNECTED, 10),
        event(EventKind.DISCONNECTED, 20, since=20 * SECOND),
        event(EventKind.REFUSED, 24, symbol="A", since=20 * SECOND),
        event(EventKind.SUBSCRIBED, 25, symbol="B", since=20 * SECOND),
    )
    assert made.feeds["x"].connected is False
    assert made.down_within("x", "B", 0, 90 * SECOND) == 5 * SECOND
    assert made.down_within("x", "A", 0, 90 * SECOND) == 70 * SECOND
    made.add(event(EventKind.DISCONNECTED, 40, since=38 * SECOND))
    assert made.down_within("x", "B", 0, 90 * SECOND) == (5 + 52) * SECOND
    made.add(event(EventKind.CONNECTED, 50, since=38 * SECOND))
    assert made.down_within("x", "B", 0, 90 * SECOND) == (5 + 12) * SECOND
    assert made.down_within("x", "A", 0, 90 * SECOND) == 30 * SECOND
    assert made.down_within("x", "", 0, 90 * SECOND) == 30 * SECOND


def test_a_killed_worker_was_down_since_its_last_sign_of_life():
    made = ledger(event(EventKind.CONNECTED, 10), event(EventKind.CONNECTED, 50, since=30 * SECOND))
    assert made.down_within("x", "A", 0, 90 * SECOND) == 20 * SECOND


def test_a_gap_is_open_until_its_trades_are_asked_for():
    ids = {"symbol": "A", "first_missing": 5, "last_missing": 7}
    made = ledger(event(EventKind.GAP, 10, **ids), event(EventKind.GAP, 11, symbol="B", first_missing=1))
    assert [(gap.symbol, gap.filled) for gap in made.gaps("x")] == [("B", None), ("A", None)]
    made.add(event(EventKind.BACKFILLED, 12, count=3, **ids))
    (gap,) = made.gaps("x", "A")
    assert (gap.filled, gap.filled_at) == (3, 12 * SECOND)
    assert list(made.gaps("y")) == []


def test_repetitions_are_counted_by_day():
    made = ledger(*(event(EventKind.DUPLICATE, time, symbol="A") for time in (1, 2, 86_400)))
    assert [made.duplicates("x", "A", day) for day in (0, 1, 2)] == [2, 1, 0]
    assert DAY_US == 86_400 * SECOND


ranges = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)


@given(st.lists(ranges), ranges)
def test_what_is_outside_is_what_is_not_covered(spans, asked):
    held = Spans()
    for first, last in spans:
        held.add(first, last)
    assert sum(last - first for first, last in held.outside(*asked)) == (
        asked[1] - asked[0] - held.covered(*asked)
    )


@given(st.lists(ranges), ranges)
def test_covered_time_is_counted_once(spans, asked):
    held = Spans()
    for first, last in spans:
        held.add(first, last)
    inside = {at for first, last in spans for at in range(first, last)}
    assert held.covered(*asked) == len(inside & set(range(*asked)))
