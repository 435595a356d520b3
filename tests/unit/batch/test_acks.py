from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch._acks import AckLedger
from k2stream.batch.proof import Proof


def message():
    return SimpleNamespace(acked=False)


def delivered(lengths, start=0):
    """A ledger with one delivery per length, and the messages with their last offsets."""
    ledger, messages = AckLedger(), []
    for length in lengths:
        last = start + length - 1
        messages.append((message(), last))
        ledger.deliver(messages[-1][0], last, length)
        start = last + 1
    return ledger, messages


def test_nothing_acknowledged_is_nothing_to_commit():
    ledger, _ = delivered([10, 10])
    assert ledger.position() is None
    assert ledger.unacked() == 20


def test_a_gap_holds_back_what_comes_after_it():
    ledger, ((first, _), (second, _), (third, _)) = delivered([10, 10, 10])
    second.acked = third.acked = True
    assert ledger.position() is None
    assert ledger.unacked() == 10
    first.acked = True
    assert ledger.position() == 30


def test_what_holds_no_records_is_passed_in_its_turn():
    ledger, ((first, _),) = delivered([10])
    ledger.skip(10)
    assert (ledger.position(), ledger.unacked()) == (None, 10)
    first.acked = True
    assert (ledger.position(), ledger.unacked()) == (11, 0)
    ledger.skip(12)
    assert ledger.position() == 13


def test_position_stays_when_nothing_new_is_acknowledged():
    ledger, ((first, _), _) = delivered([5, 5])
    first.acked = True
    assert [ledger.position(), ledger.position()] == [5, 5]


def test_late_acknowledgements_after_void_do_not_count():
    ledger, ((first, _), (second, _)) = delivered([10, 10], start=100)
    first.acked = True
    ledger.void()
    assert second.acked  # Faust's streams skip what is acknowledged already
    assert ledger.position() == 110
    assert ledger.unacked() == 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.data())
def test_position_is_the_end_of_the_acknowledged_prefix(lengths, data):
    ledger, messages = delivered(lengths)
    acknowledged = set()
    for index in data.draw(st.permutations(range(len(lengths)))):
        messages[index][0].acked = True
        acknowledged.update(range(messages[index][1] + 1 - lengths[index], messages[index][1] + 1))
        prefix = next(n for n in range(sum(lengths) + 1) if n not in acknowledged)
        assert (ledger.position() or 0) == prefix
        assert ledger.unacked() == sum(lengths) - len(acknowledged)
    assert ledger.position() == sum(lengths)


def test_a_position_has_the_proof_of_the_last_record_before_it():
    ledger, messages = AckLedger(), [message() for _ in range(3)]
    for number, each in enumerate(messages):
        ledger.deliver(each, 10 * number + 9, 10, Proof(number, 0, 0))
    ledger.skip(35)  # offsets without records
    assert ledger.proof_at(40) is None
    messages[0].acked = messages[1].acked = True
    assert ledger.position() == 20
    assert ledger.proof_at(20) == Proof(1, 0, 0)
    messages[2].acked = True
    assert ledger.position() == 36
    assert ledger.proof_at(36) == Proof(2, 0, 0)
    assert ledger.proof_at(36) == Proof(2, 0, 0)
