"""What a position says to one that was known before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.delivery.epochs import Move, Verdict, follows, judge, moves, named, refilled
from k2stream.delivery.progress import Batch, Partition, Piece, Position

OLD, NEW = named("", 1, "a"), named("", 2, "a")
AT = Partition("x", 0)


@pytest.mark.parametrize(
    ("found", "earliest", "verdict"),
    [
        (Position(9, epoch=OLD), 0, Verdict.CONTINUE),
        (Position(12, epoch=OLD), 0, Verdict.CONTINUE),  # its own answer was lost
        (Position(8, epoch=OLD), 0, Verdict.REFILL),
        (Position(8, epoch=OLD), 9, Verdict.REFILL),
        (Position(8, epoch=OLD), 10, Verdict.REFUSE),
        (None, 0, Verdict.REFILL),
        (None, 1, Verdict.REFUSE),
        (Position(9), 0, Verdict.REFILL),  # as an earlier release left it, before it was adopted
        (Position(3, epoch=NEW), 0, Verdict.FOLLOW),
        (Position(99, epoch=NEW), 0, Verdict.FOLLOW),
    ],
)
def test_what_is_there_against_what_was_known(found, earliest, verdict):
    assert judge(Position(9, epoch=OLD), found, earliest) is verdict


@pytest.mark.parametrize(
    ("first", "epoch", "held", "whether"),
    [
        (10, OLD, Position(9, epoch=OLD), True),
        (5, OLD, Position(9, epoch=OLD), True),  # some of it is there
        (11, OLD, Position(9, epoch=OLD), False),
        (10, OLD, Position(9, epoch=NEW), False),
        (10, NEW, Position(9, epoch=OLD), False),
        (10, OLD, Position(9), True),  # adopted by this batch
        (0, OLD, Position(), True),
        (10, "", Position(9, epoch=OLD), True),
    ],
)
def test_a_batch_follows_on(first, epoch, held, whether):
    assert follows(first, epoch, held) is whether


@given(st.lists(st.integers(0, 2**52), max_size=9))
def test_epochs_rise_whatever_the_clock_says(clocks):
    names = [""]
    for now in clocks:
        names.append(named(names[-1], now, "0000"))
    assert names == sorted(set(names))


def piece(first, last):
    return Piece(AT, first, last, {}, [], 0, None, OLD)


def test_moves_begin_where_the_first_batch_does_and_end_where_the_last_does():
    written = [
        ("t", Batch((piece(3, 4), piece(5, 7)))),
        ("u", Batch((piece(0, 1),))),
        ("t", Batch((piece(8, 8),))),
    ]
    assert moves(written) == {
        ("t", AT): Move(2, Position(8, epoch=OLD)),
        ("u", AT): Move(-1, Position(1, epoch=OLD)),
    }


@pytest.mark.parametrize(
    ("held", "begin", "everything", "wanted"),
    [
        (9, 10, False, None),
        (9, 4, False, None),
        (9, 20, False, 19),  # 10 to 19 are nowhere
        (-1, 0, False, None),
        (9, 4, True, 3),
    ],
)
def test_from_where_kafka_can_fill_a_table(held, begin, everything, wanted):
    found = refilled(Position(held, {"m": 1}), begin, everything=everything)
    assert (found.offset if found else None) == wanted
    assert found is None or found.marks == ({} if everything else {"m": 1})
