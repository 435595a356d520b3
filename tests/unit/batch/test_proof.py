"""What a position refers to, and when it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch import proof
from k2stream.batch.proof import Shown, Verdict, identity, judge, judge_table, proof_of

READ = proof_of(99, 1_000, b"k", b"the trade")
OTHER = proof_of(99, 2_000, b"k", b"another trade")


@pytest.mark.parametrize(
    ("position", "kept", "shown", "verdict"),
    [
        (100, identity(READ), Shown(0, 100, READ), Verdict.CONTINUE),
        (100, identity(READ), Shown(0, 5000, READ), Verdict.CONTINUE),
        # recreated, or cut and used again: shorter, of the same length, longer
        (100, identity(READ), Shown(0, 99, None), Verdict.REFUSE),
        (100, identity(READ), Shown(0, 100, OTHER), Verdict.REFUSE),
        (100, identity(READ), Shown(0, 5000, OTHER), Verdict.REFUSE),
        (100, identity(READ), Shown(0, 5000, None), Verdict.REFUSE),
        (100, None, Shown(0, 99, None), Verdict.REFUSE),
        # nothing is known of what it refers to
        (100, None, Shown(0, 100, READ), Verdict.ADOPT),
        (0, None, Shown(0, 0, None), Verdict.CONTINUE),
        # retention: up to what was read, and beyond it
        (100, identity(READ), Shown(100, 200, None), Verdict.CONTINUE),
        (100, identity(READ), Shown(101, 200, None), Verdict.EXPIRED),
        (100, None, Shown(101, 200, None), Verdict.EXPIRED),
        # a new group begins where the log does
        (0, None, Shown(50, 200, None), Verdict.CONTINUE),
        # topic ids, where both are known
        (100, identity(READ, topic_id="a"), Shown(0, 200, READ, topic_id="b"), Verdict.REFUSE),
        (100, identity(READ, topic_id="a"), Shown(0, 200, READ, topic_id="a"), Verdict.CONTINUE),
        (100, identity(READ, topic_id="a"), Shown(0, 200, READ), Verdict.CONTINUE),
        (100, identity(READ), Shown(0, 200, READ, topic_id="b"), Verdict.CONTINUE),
    ],
)
def test_a_position_is_refused_where_it_means_something_else(position, kept, shown, verdict):
    assert judge(position, kept, shown).verdict is verdict


def test_a_refusal_says_what_was_seen():
    assert "ends at offset 7, but everything before 100" in judge(100, None, Shown(0, 7)).seen
    seen = judge(100, identity(READ), Shown(0, 200, OTHER)).seen
    assert "1000 ms" in seen
    assert "2000 ms" in seen
    assert "offsets 100 to 149 (50 records)" in judge(100, identity(READ), Shown(150, 200)).seen


@pytest.mark.parametrize(
    ("committed", "held", "position", "empty", "verdict"),
    [
        (identity(READ), identity(READ), 100, False, Verdict.CONTINUE),
        (
            identity(READ),
            identity(READ._replace(offset=150)),
            100,
            False,
            Verdict.CONTINUE,
        ),  # a crash before the commit
        (identity(READ), None, 100, True, Verdict.REFUSE),  # lost
        (identity(READ), identity(READ._replace(offset=50)), 100, False, Verdict.REFUSE),  # cut
        (identity(READ, generation=1), identity(READ._replace(offset=500)), 100, False, Verdict.REFUSE),
        (None, None, 100, True, Verdict.REFUSE),  # of an earlier release
        (None, None, 100, False, Verdict.CONTINUE),
        (None, None, 0, True, Verdict.CONTINUE),
        (None, identity(READ), 0, False, Verdict.CONTINUE),
    ],
)
def test_a_table_is_refused_under_offsets_that_it_does_not_cover(committed, held, position, empty, verdict):
    assert judge_table(committed, held, position, empty=empty).verdict is verdict


records = st.tuples(
    st.integers(0, 2**41), st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=8)
)


@given(st.lists(records, min_size=1, max_size=30), st.lists(records, max_size=60), st.data())
def test_only_the_log_that_was_read_is_gone_on_with(old, new, data):
    """A log is read up to a position; then it has grown, was cut and used again, or was recreated."""
    position = data.draw(st.integers(1, len(old)))
    cut = data.draw(st.integers(0, len(old)))
    log = old[:cut] + new
    begin = data.draw(st.integers(0, len(log)))
    kept = identity(proof_of(position - 1, *old[position - 1]))
    at = position - 1
    shown = Shown(begin, len(log), proof_of(at, *log[at]) if begin <= at < len(log) else None)
    verdict = judge(position, kept, shown).verdict
    if verdict is Verdict.CONTINUE and begin < position:
        assert log[at] == old[at]
    if cut >= position and begin <= position:
        assert verdict is Verdict.CONTINUE


@given(st.integers(0, 2**62), records, st.integers(0, 9), st.text(max_size=22))
def test_a_note_comes_back(offset, record, generation, topic_id):
    kept = identity(proof_of(offset, *record), generation, topic_id)
    assert proof.read(proof.write(kept)) == kept
    assert proof.read(proof.write(kept).encode()) == kept


@pytest.mark.parametrize("text", ["", None, "{}", "x", "[2,0,[1,2,3]]", "some tool's own words"])
def test_what_is_no_note_is_none(text):
    assert proof.read(text) is None


def test_an_absent_value_is_not_an_empty_one():
    assert proof_of(1, 1, b"k", None) != proof_of(1, 1, b"k", b"")
    assert proof_of(1, 1, None, b"k") != proof_of(1, 1, b"k", None)
