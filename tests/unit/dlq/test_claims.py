"""Who may put a letter back, as the log of claims and settlements has it."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from k2stream.dlq.claims import LEASE_MS, Id, ReplayNote, by_place, replay_states

LETTER = Id(12, 1_700_000_000_000_000)


def claim(run, after=100, letter=LETTER):
    return ReplayNote(letter, run, "raw", {0: after})


def settlement(run, offset=150, letter=LETTER):
    return ReplayNote(letter, run, "raw", written=[(0, offset)])


def test_the_first_claim_has_the_letter():
    assert replay_states([(0, claim("a")), (5, claim("b", 120))])[LETTER].run == "a"


def test_a_claim_that_was_never_settled_passes_on_with_the_earlier_bound():
    replay = replay_states([(0, claim("a", 100)), (LEASE_MS + 1, claim("b", 900))])[LETTER]
    assert (replay.run, replay.again, replay.after) == ("b", True, {0: 100})


def test_a_settled_letter_is_never_claimed_again():
    log = [(0, claim("a")), (5, settlement("a")), (10 * LEASE_MS, claim("b"))]
    replay = replay_states(log)[LETTER]
    assert (replay.run, replay.settled, replay.written) == ("a", True, ((0, 150),))


def test_a_settled_letter_of_a_sink_may_be_claimed_again():
    """Its table may have lost the row; the next run holds it for its lease."""
    row = ReplayNote(LETTER, "b", "table")
    log = [(0, ReplayNote(LETTER, "a", "table")), (5, settlement("a")), (9, row), (10, claim("c"))]
    replay = replay_states(log)[LETTER]
    assert (replay.run, replay.since, replay.settled, replay.again) == ("b", 9, False, False)


def test_a_letter_of_a_topic_that_was_recreated_is_another():
    other = Id(LETTER.number, LETTER.time + 1)
    found = replay_states([(0, claim("a")), (1, settlement("a")), (2, claim("b", letter=other))])
    assert found[LETTER].settled
    assert not found[other].settled


def test_a_place_gives_the_letter_that_was_put_there():
    assert by_place(replay_states([(0, claim("a")), (1, settlement("a"))])) == {("raw", 0, 150): 12}


@given(st.lists(st.tuples(st.integers(0, 3 * LEASE_MS), st.sampled_from("abc")), min_size=1))
def test_at_any_time_one_run_has_a_letter_and_keeps_it_for_its_lease(claims):
    log = [(time, claim(run)) for time, run in sorted(claims)]
    holder, since = None, None
    for length in range(1, len(log) + 1):
        replay = replay_states(log[:length])[LETTER]
        if holder is not None and replay.since != since:
            assert since is not None and replay.since - since > LEASE_MS
        holder, since = replay.run, replay.since


def test_an_entry_survives_the_log():
    for entry in (claim("a"), settlement("a")):
        assert msgspec.json.decode(msgspec.json.encode(entry), type=ReplayNote) == entry
