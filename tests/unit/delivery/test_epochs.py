"""What a position says to one that was known before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.delivery.epochs import Move, PositionVerdict, follows, judge, moves, named, refilled
from k2stream.delivery.progress import Piece, SinkBatch, SinkPosition, SourcePartition

OLD, NEW = named("", 1, "a"), named("", 2, "a")
AT = SourcePartition("x", 0)


@pytest.mark.parametrize(
    ("found", "earliest", "verdict"),
    [
        (SinkPosition(9, epoch=OLD), 0, PositionVerdict.CONTINUE),
        (SinkPosition(12, epoch=OLD), 0, PositionVerdict.CONTINUE),  # its own answer was lost
        (SinkPosition(8, epoch=OLD), 0, PositionVerdict.REFILL),
        (SinkPosition(8, epoch=OLD), 9, PositionVerdict.REFILL),
        (SinkPosition(8, epoch=OLD), 10, PositionVerdict.REFUSE),
        (None, 0, PositionVerdict.REFILL),
        (None, 1, PositionVerdict.REFUSE),
        (SinkPosition(9), 0, PositionVerdict.REFILL),  # as an earlier release left it, before it was adopted
        (SinkPosition(3, epoch=NEW), 0, PositionVerdict.FOLLOW),
        (SinkPosition(99, epoch=NEW), 0, PositionVerdict.FOLLOW),
    ],
)
def test_what_is_there_against_what_was_known(found, earliest, verdict):
    assert judge(SinkPosition(9, epoch=OLD), found, earliest) is verdict


@pytest.mark.parametrize(
    ("first", "epoch", "held", "whether"),
    [
        (10, OLD, SinkPosition(9, epoch=OLD), True),
        (5, OLD, SinkPosition(9, epoch=OLD), True),  # some of it is there
        (11, OLD, SinkPosition(9, epoch=OLD), False),
        (10, OLD, SinkPosition(9, epoch=NEW), False),
        (10, NEW, SinkPosition(9, epoch=OLD), False),
        (10, OLD, SinkPosition(9), True),  # adopted by this batch
        (0, OLD, SinkPosition(), True),
        (10, "", SinkPosition(9, epoch=OLD), True),
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
        ("t", SinkBatch((piece(3, 4), piece(5, 7)))),
        ("u", SinkBatch((piece(0, 1),))),
        ("t", SinkBatch((piece(8, 8),))),
    ]
    assert moves(written) == {
        ("t", AT): Move(2, SinkPosition(8, epoch=OLD)),
        ("u", AT): Move(-1, SinkPosition(1, epoch=OLD)),
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
    found = refilled(SinkPosition(held, {"m": 1}), begin, everything=everything)
    assert (found.offset if found else None) == wanted
    assert found is None or found.high_water_marks == ({} if everything else {"m": 1})
