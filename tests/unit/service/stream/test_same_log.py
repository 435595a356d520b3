"""Whether a place is of the log that the broker shows."""

import pytest

from k2stream.batch.proof import Proof, Shown
from k2stream.service.stream import same_log
from k2stream.service.stream.entries import Place

CLOCK = 1_800_000_000_000
ONE, OTHER = "1" * 32, "2" * 32


def shown(topic_id="", time=CLOCK):
    return Shown(0, 20, None if time is None else Proof(5, time, 7), topic_id)


@pytest.mark.parametrize(
    ("known", "clock", "found", "differs"),
    [
        (ONE[:8], CLOCK, shown(ONE), False),
        (ONE[:8], CLOCK, shown(OTHER), True),
        # where one is unknown, the record at the place tells
        ("", CLOCK, shown(ONE), False),
        (ONE[:8], CLOCK, shown(), False),
        ("", CLOCK, shown(time=CLOCK - 300_000), False),  # the place of a time
        ("", CLOCK, shown(time=CLOCK + same_log.CLOCKS_MS), False),
        ("", CLOCK, shown(time=CLOCK + same_log.CLOCKS_MS + 1), True),
        ("", CLOCK, shown(time=None), False),  # expired
        ("", 0, shown(), False),  # nothing was read
    ],
)
def test_a_place_is_of_the_log_or_not(known, clock, found, differs):
    assert same_log.differs(known, Place(5, clock), found) is differs


def test_the_last_offset_is_not_beyond():
    assert not same_log.beyond({0: Place(5), 1: Place(-1)}, {0: 5, 1: -1})
    assert same_log.beyond({0: Place(5), 1: Place(0)}, {0: 5, 1: -1})
