"""Plain and aggregated trades of one symbol have their ids on one line: each plain id counts once."""

from collections import Counter, deque
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from k2stream.exchanges.spec import Continuity
from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import ContinuityState, check

START = 1_700_000_000_000_000
STEP_US = 700_000


def columns(rows):
    """Rows are (numbering, id, first, last, time)."""
    made = TradeColumns(
        exchange="x",
        symbol=["A"] * len(rows),
        trade_id=[str(row[1]) for row in rows],
        timestamp=[row[4] for row in rows],
        receive_time=[row[4] for row in rows],
        price=["1"] * len(rows),
        quantity=["1"] * len(rows),
        taker_buy=[True] * len(rows),
        sequence=[row[1] for row in rows],
        trade_count=[1] * len(rows),
    )
    if any(row[0] for row in rows):
        made.numbering = [row[0] for row in rows]
        made.first, made.last = [row[2] for row in rows], [row[3] for row in rows]
    return made


def checked(rows, usable, states):
    result = check(Continuity.CONTIGUOUS, columns(rows), states, np.array(usable, np.bool_))
    states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
    return result


@st.composite
def markets(draw):
    """What was traded: plain trades, and the aggregated trades that stand for most of them, by (first) id."""
    plain, aggregated, at = [], [], 1
    for number, (size, missing) in enumerate(
        draw(
            st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 0, 0, 1, 2])), min_size=1, max_size=16)
        )
    ):
        time = START + number * STEP_US
        plain += [("", at + item, at + item, at + item, time) for item in range(missing + size)]
        aggregated.append(("agg", 5 + number, at + missing, at + missing + size - 1, time))
        at += missing + size
    return plain, aggregated


class Feed:
    """Takes trades one by one, and fetches what the gaps name: at once, or in the end."""

    def __init__(self, plain, aggregated, bad, at_once):
        self.history = {"": plain, "agg": aggregated}
        self._bad, self._at_once = bad, at_once
        self.rows, self.usable, self.keep, self.doubtful, self.states = [], [], [], [], {}
        self._gaps = deque()

    def report(self, numbering, after, until):
        """The trades of a numbering whose last id is above `after`, up to `until`."""
        for row in self.history[numbering]:
            if after < row[3] <= until:
                self._take(row)
                if self._at_once:
                    self.fill()

    def fill(self):
        while self._gaps:
            gap = self._gaps.popleft()
            for row in self.history[gap.numbering]:
                if gap.first_missing <= row[1] <= gap.last_missing:
                    self._take(row)

    def _take(self, row):
        self.usable.append(len(self.rows) not in self._bad)
        result = checked([row], self.usable[-1:], self.states)
        self.doubtful += [len(self.rows)] if result.doubtful else []
        self.rows.append(row)
        self.keep += result.keep.tolist()
        self._gaps += [event for event in result.events if event.kind is EventKind.GAP]

    def ids(self, rows):
        """How often each plain id is among these rows."""
        ranges = (range(self.rows[row][2], self.rows[row][3] + 1) for row in rows)
        return Counter(number for ids in ranges for number in ids)


spans = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)
parts = st.lists(
    st.tuples(
        st.sampled_from(["live", "live", "away", "backfill"]),
        st.sampled_from(["", "agg"]),
        st.integers(0, 15),
        spans,
    ),
    max_size=8,
)


@given(
    markets(),
    parts,
    st.sets(st.integers(0, 60), max_size=3),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_each_plain_id_counts_once_whatever_came_as_which(market, parts, bad, at_once, at):
    """The stream changes, the feed is away, ranges are backfilled either way, and gaps are filled."""
    feed, reached = Feed(market[0], market[1], bad, at_once), 0
    for what, numbering, amount, (low, high) in [*parts, ("live", "", 99, (0, 0))]:
        if what == "backfill":
            feed.report(numbering, low, min(high, reached))
        else:
            if what == "live":
                feed.report(numbering, reached, reached + amount)
            reached += amount
    feed.fill()
    rows = range(len(feed.rows))
    counted = feed.ids(row for row in rows if feed.keep[row])
    assert set(counted.values()) <= {1}
    dead = feed.ids([*feed.doubtful, *(row for row in rows if not feed.usable[row])])
    came = feed.ids(rows)
    assert not [number for number in came if number not in counted and number not in dead]
    if came:  # what was not reported was fetched
        assert not set(range(feed.rows[0][2], max(came))) - set(counted) - set(dead)
    assert all(feed.rows[row][0] for row in feed.doubtful)

    bounds, keep, states = sorted(min(cut, len(rows)) for cut in at), [], {}
    for start, stop in pairwise([0, *bounds, len(rows)]):
        keep += checked(feed.rows[start:stop], feed.usable[start:stop], states).keep.tolist()
    assert keep == feed.keep and states == feed.states


def test_an_aggregated_trade_of_which_a_part_came_as_a_plain_one_is_a_dead_letter():
    rows = [("", 1, 1, 1, START), ("agg", 1, 1, 3, START), ("agg", 2, 4, 6, START), ("", 3, 3, 3, START)]
    result = checked(rows, [True] * 4, {})
    assert result.keep.tolist() == [True, False, True, True] and list(result.doubtful) == [1]
    assert [(event.numbering, event.first_missing, event.last_missing) for event in result.events] == [
        ("", 2, 3)
    ]


def test_the_state_of_the_release_before_plain_ids_were_covered_is_read():
    """What its aggregated trades stood for is not known, hence not seen, but what is missing is as before."""
    text = b'{"A":{"ids":{"":[13,[[0,10]],5],"agg":[4,[[0,0]],5,30]},"newest":5}}'
    states = msgspec.json.decode(text, type=dict[str, ContinuityState])
    result = checked([("", 34, 34, 34, START)], [True], states)
    assert [(event.first_missing, event.last_missing) for event in result.events] == [(31, 33)]
    assert states["A"].covered and states["A"].ids[""].holes == [(0, 10), (14, 30), (31, 33)]


def test_plain_ids_between_aggregated_trades_that_were_missing_are_missing_too():
    """Known once those on both sides have come; aggregated trade 2 stands for 4 and 5, 3 for 8 and 9."""
    first, second = ("agg", 1, 1, 2, START), ("agg", 2, 4, 5, START)
    third, fourth = ("agg", 3, 8, 9, START), ("agg", 4, 10, 12, START)
    result = checked([first, fourth, third, second], [True] * 4, {})
    found = [(event.numbering, event.first_missing, event.last_missing) for event in result.events]
    assert found == [("agg", 2, 3), ("", 3, 3), ("", 6, 7)] and all(result.keep)


def test_an_older_aggregated_trade_that_is_fetched_says_nothing_of_what_comes_next():
    rows = [("", 2, 2, 2, START), ("", 3, 3, 3, START), ("agg", 5, 1, 1, START), ("agg", 8, 5, 5, START)]
    result = checked(rows, [True] * 4, {})
    found = [(event.numbering, event.first_missing, event.last_missing) for event in result.events]
    assert found == [("", 4, 4)] and all(result.keep)
