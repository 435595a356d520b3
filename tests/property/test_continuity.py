"""Continuity against a set-based model, whatever the batches."""

from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from k2stream.backfill.contents import TradeContents
from k2stream.exchanges.spec import Continuity
from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import ContinuityState, check, content_ids, recent, unseen_ids


def columns(rows, *, numbered=True):
    """Rows are (symbol, numbering, id) or, for an exchange without ids, (symbol, price, time)."""
    count = len(rows)
    return TradeColumns(
        exchange="x",
        symbol=[row[0] for row in rows],
        trade_id=[str(row[2]) for row in rows],
        timestamp=[row[2] for row in rows],
        receive_time=[row[2] for row in rows],
        price=["1" if numbered else row[1] for row in rows],
        quantity=["1"] * count,
        taker_buy=[True] * count,
        sequence=[row[2] if numbered else 0 for row in rows],
        trade_count=[1] * count,
        numbering=[row[1] for row in rows] if numbered and any(row[1] for row in rows) else [],
    )


def in_batches(kind, rows, cuts, **how):
    """Kept flags, ids, gaps, duplicates by symbol, and states, which go through JSON after each batch."""
    keep, ids, gaps, duplicates, states = [], [], [], {}, {}
    bounds = [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(bounds):
        part = rows[start:stop]
        usable = np.array([row[3:] != ("bad",) for row in part], np.bool_)
        result = check(kind, columns(part, **how), states, usable)
        states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
        keep += result.keep.tolist()
        ids += result.trade_id
        for event in result.events:
            if event.kind in (EventKind.GAP, EventKind.JUMP):
                assert event.kind is (EventKind.JUMP if kind is Continuity.RISING else EventKind.GAP)
                assert event.first_missing is not None and event.last_missing is not None
                assert event.count == event.last_missing - event.first_missing + 1
                gaps.append((event.symbol, event.first_missing, event.last_missing))
            else:
                duplicates[event.symbol] = duplicates.get(event.symbol, 0) + event.count
    return keep, ids, sorted(gaps), duplicates, states


def model(rows):
    kept, came, keep, gaps, duplicates = set(), {}, [], [], {}
    for symbol, numbering, number, quality in rows:
        name = (symbol, numbering, number)
        keep.append(quality == "good" and name not in kept)
        if quality == "good" and name in kept:
            duplicates[symbol] = duplicates.get(symbol, 0) + 1
        newest = came.setdefault((symbol, numbering), number)
        if number > newest + 1:
            gaps.append((symbol, newest + 1, number - 1))
        came[symbol, numbering] = max(newest, number)
        kept |= {name} if quality == "good" else set()
    return keep, sorted(gaps), duplicates


symbol = st.sampled_from(["A", "B"])
quality = st.sampled_from(["good", "good", "good", "bad"])
numbers = st.lists(
    st.tuples(symbol, st.sampled_from(["", "", "agg"]), st.integers(0, 25), quality), max_size=60
)
cuts = st.lists(st.integers(0, 60), max_size=5)


def cut(rows, at):
    return [min(position, len(rows)) for position in at]


@given(numbers, cuts)
def test_ids_equal_the_model_in_any_batches(rows, at):
    keep, ids, gaps, duplicates, states = in_batches(Continuity.CONTIGUOUS, rows, cut(rows, at))
    assert (keep, gaps, duplicates) == model(rows)
    assert ids == [str(row[2]) for row in rows]
    assert states == in_batches(Continuity.CONTIGUOUS, rows, [])[-1]


@given(numbers, cuts)
def test_rising_ids_report_what_they_skip_as_jumps(rows, at):
    keep, _, jumps, duplicates, _ = in_batches(Continuity.RISING, rows, cut(rows, at))
    assert (keep, jumps, duplicates) == model(rows)


def test_a_gap_began_with_the_newest_trade_before_it_however_the_batches_are_cut():
    rows = [("A", "", 5, "good"), ("A", "", 9, "good"), ("A", "", 7, "good"), ("A", "", 12, "good")]
    for at in ([], [1], [3], [1, 2, 3]):
        found, states = [], {}
        for start, stop in pairwise([0, *at, 4]):
            result = check(Continuity.CONTIGUOUS, columns(rows[start:stop]), states)
            states |= result.states
            found += [(event.since, event.time) for event in result.events]
        assert found == [(5, 9), (9, 12)]


@given(st.lists(st.tuples(symbol, st.just(""), st.integers(0, 200), quality), max_size=60), cuts)
def test_bounded_holes_do_not_depend_on_the_batches(rows, at):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unseen_ids, "MAX_RANGES", 3)
        assert in_batches(Continuity.CONTIGUOUS, rows, cut(rows, at)) == in_batches(
            Continuity.CONTIGUOUS, rows, []
        )
        states = in_batches(Continuity.CONTIGUOUS, rows, [])[-1]
        assert all(len(ids.holes) <= 3 for state in states.values() for ids in state.ids.values())


contents = st.lists(st.tuples(symbol, st.sampled_from("12"), st.integers(0, 6)), max_size=60)


@given(contents, cuts, st.sampled_from([2, 100]))
def test_made_ids_are_unique_near_in_time_and_the_same_in_any_batches(rows, at, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content_ids, "RECENT_US", 3)
        patch.setattr(content_ids, "RECENT", 0)
        patch.setattr(content_ids, "MAX_RECENT", limit)
        keep, ids, gaps, duplicates, states = in_batches(Continuity.NONE, rows, cut(rows, at), numbered=False)
        assert all(keep) and not gaps and not duplicates
        _, whole_ids, _, _, whole_states = in_batches(Continuity.NONE, rows, [], numbered=False)
        assert (ids, states) == (whole_ids, whole_states)
        if limit == 100:
            assert [made.rsplit("-", 1)[0] for made in ids] == [f"X-{row[2]}" for row in rows]
            assert len(set(zip(ids, generation(rows), strict=True))) == len(rows)


def generation(rows):
    """How often each content had been forgotten before each row: ids may repeat only across that."""
    newest, last, forgotten, result = {}, {}, {}, []
    for row in rows:
        newest[row[0]] = max(newest.get(row[0], 0), row[2])
        if row in last and newest[row[0]] - last[row] > 3:
            forgotten[row] = forgotten.get(row, 0) + 1
        last[row] = newest[row[0]]
        result.append((row, forgotten.get(row, 0)))
    return result


restarting = st.lists(
    st.tuples(st.sampled_from(["", "agg"]), st.integers(0, 12), st.sampled_from("12"), st.integers(0, 9)),
    max_size=40,
)


def told(rows):
    """Rows are (numbering, id, price, minute); an aggregated trade stands for two ids."""
    made = columns([("A", row[0], row[1], "good") for row in rows])
    made.price = [row[2] for row in rows]
    made.timestamp = made.receive_time = [1_700_000_000_000_000 + row[3] * 45_000_000 for row in rows]
    if made.numbering:
        made.first = [row[1] * 2 if row[0] else row[1] for row in rows]
        made.last = [row[1] * 2 + 1 if row[0] else row[1] for row in rows]
    return made


def plain_ids(row):
    """What a row of `told` stands for."""
    return {row[1] * 2, row[1] * 2 + 1} if row[0] else {row[1]}


@given(restarting, cuts, st.sampled_from([2, 256]))
@example([("", 9, "2", 0), ("", 7, "2", 6), ("", 11, "2", 0), ("", 12, "2", 8), ("", 11, "1", 5)], [3], 2)
@example([("", 9, "2", 6), ("", 9, "1", 3), ("", 7, "1", 3), ("", 12, "1", 6), ("", 13, "1", 7)], [4], 256)
def test_restarts_and_doubts_are_the_same_in_any_batches(rows, at, limit):
    def checked(bounds):
        keep, epoch, doubts, happened, states = [], [], [], [], {}
        for start, stop in pairwise(bounds):
            result = check(Continuity.CONTIGUOUS, told(rows[start:stop]), states)
            states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
            keep += result.keep.tolist()
            epoch += result.epoch.tolist()
            doubts += [row + start for row in result.doubtful]
            happened += [event for event in result.events if event.kind is not EventKind.DUPLICATE]
        return keep, epoch, sorted(doubts), sorted(happened, key=repr), states

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recent, "LIMIT", limit)
        whole = checked([0, len(rows)])
        assert checked([0, *sorted(cut(rows, at)), len(rows)]) == whole
    if limit == 256:  # all is remembered: each content of an id is there once, and none is lost
        kept = [row for row, good in zip(rows, whole[0], strict=True) if good]
        assert len(set(kept)) == len(kept)
        lost = set(rows) - set(kept) - {rows[row] for row in whole[2]}
        for row in lost:  # a trade of the other numbering stands for it
            assert any(row[0] != other[0] and plain_ids(row) & plain_ids(other) for other in kept)


def test_the_likes_of_a_trade_are_forgotten_by_the_symbols_time_not_by_their_own(monkeypatch):
    """A trade behind the newest one came just now: its next like is the second, with an id of its own."""
    monkeypatch.setattr(content_ids, "RECENT", 0)
    second = content_ids.RECENT_US
    newest, behind, later = ("A", "1", 7 * second), ("A", "1", 5 * second), ("A", "2", 15 * second // 2)
    rows = [newest, behind, newest, later, behind]
    for at in ([], [2], [4]):
        _, ids, *_ = in_batches(Continuity.NONE, rows, at, numbered=False)
        assert len(set(ids)) == len(rows)


@st.composite
def connections(draw, near=1):
    """What an exchange without ids traded, and what its connections told: some of the past first, or not.

    Times are equal, or differ by at least `near` µs.
    """
    step = st.sampled_from([0, 0, near, 700_000])
    happened, time = [], 1_700_000_000_000_000
    for more, price in draw(st.lists(st.tuples(step, st.sampled_from(["1", "2"])), min_size=1, max_size=60)):
        time += more
        happened.append((time, price))
    told, at = [], 0
    for number in range(draw(st.integers(1, 5))):
        at = min(at + draw(st.integers(0, 3)), len(happened))  # nobody was there
        past = happened[max(0, at - draw(st.sampled_from([0, 5, 50]))) : at]
        end = min(at + draw(st.integers(0, 20)), len(happened))
        told += [(f"x-{number}", *trade) for trade in past + happened[at:end]]
        at = end
    return happened, told


def without_ids(rows):
    made = columns([("A", row[2], row[1]) for row in rows], numbered=False)
    made.link = [row[0] for row in rows]
    return made


@given(connections(), cuts)
def test_what_several_connections_tell_counts_once(made, at):
    happened, told = made
    keep, states = [], {}
    for start, stop in pairwise([0, *sorted(cut(told, at)), len(told)]):
        result = check(Continuity.NONE, without_ids(told[start:stop]), states)
        states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
        keep += result.keep.tolist()
    most = Counter()
    for link in {row[0] for row in told}:
        most |= Counter(row[1:] for row in told if row[0] == link)
    kept = Counter(row[1:] for row, good in zip(told, keep, strict=True) if good)
    assert kept == most and not kept - Counter(happened)
    held = TradeContents()
    for link, time, price in told:
        held.add((price,), time, link)
    assert Counter((time, price) for (price,), times in held.times().items() for time in times) == kept


@st.composite
def fetched_first(draw):
    """The same, after a part of it was fetched, each time its own or that of 1 µs beside it."""
    happened, told = draw(connections(near=3))
    begin, end = sorted(draw(st.tuples(*[st.integers(0, len(happened))] * 2)))
    cut_to = draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=end - begin, max_size=end - begin))
    past = [("", time + by, price) for (time, price), by in zip(happened[begin:end], cut_to, strict=True)]
    return happened[begin:end], past, told


@given(fetched_first(), cuts)
def test_what_was_fetched_counts_once_however_many_connections_tell_it(made, at):
    """Also where its time differs by 1 µs: the first that tells it moves it to the exchange's own time."""
    happened, past, told = made
    rows, keep, states = past + told, [], {}
    for start, stop in pairwise([0, *sorted(cut(rows, at)), len(rows)]):
        part = without_ids(rows[start:stop])
        part.backfilled = ["" if link else f"rest:{start + row}" for row, link in enumerate(part.link)]
        result = check(Continuity.NONE, part, states)
        states |= msgspec.json.decode(msgspec.json.encode(result.states), type=dict[str, ContinuityState])
        keep += result.keep.tolist()
    most = Counter(happened)
    for link in {row[0] for row in told}:
        most |= Counter(row[1:] for row in told if row[0] == link)
    assert sum(keep) == most.total() and all(keep[: len(past)])
    held = TradeContents()
    for link, time, price in rows:
        held.add((price,), time, link)
    for (price,), times in held.times().items():
        assert times == sorted(times)
        assert len(times) == sum(count for (_, of), count in most.items() if of == price)
        assert {time for _, time, of in told if of == price} <= set(times)


def test_thirteen_identical_trades_stay_thirteen_whoever_tells_them():
    past = [("x-0", 1_700_000_000_000_000, "1")] * 12
    again = [("x-1", *trade[1:]) for trade in past] + [("x-1", *past[0][1:])]  # the snapshot has one more
    result = check(Continuity.NONE, without_ids(past + again), {})
    assert result.keep.tolist() == [True] * 12 + [False] * 12 + [True]
    assert len(set(np.array(result.trade_id)[result.keep])) == 13


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_a_trade_that_was_fetched_first_is_not_taken_again_when_it_comes(by):
    """Over two connections; the second of the first one is another trade."""
    time = 1_700_000_000_000_000
    made = without_ids([("", time + by, "1"), *((link, time, "1") for link in "ababb")])
    made.backfilled = ["rest:1", *[""] * 5]
    assert check(Continuity.NONE, made, {}).keep.tolist() == [True, False, False, True, False, True]


def test_what_a_connection_of_long_ago_told_is_not_taken_for_a_fetched_trade_of_1_us_before():
    time = 1_700_000_000_000_000
    made = without_ids([("a", time, "1"), *((link, time, "2") for link in "bcd"), ("e", time + 1, "1")])
    assert check(Continuity.NONE, made, {}).keep.tolist() == [True, True, False, False, True]


def test_an_earlier_release_remembered_too_little_to_compare_with():
    states = {"A": ContinuityState(newest=1_700_000_000_000_000)}
    rows = [("x-1", 1_700_000_000_000_000 + after, "1") for after in (-5, 0, 1)]
    result = check(Continuity.NONE, without_ids(rows), states)
    assert result.keep.tolist() == [False, False, True] and list(result.doubtful) == [0, 1]
