"""Of a log whose offsets were given twice: whose rows mean another trade than the canonical ones."""

import pytest

from k2stream.mend.drop import Drop, Reached, drops

OLD, NEW, UNKNOWN = False, True, None


@pytest.mark.parametrize(
    ("normalised", "sink", "expected"),
    [
        # The normaliser has read the old log: what of the new one is below 90 is published again above.
        (None, (OLD, 88), None),
        (None, (NEW, 80), (60, 80)),
        (None, (NEW, 90), (60, 90)),
        (None, (NEW, 55), None),
        # It has read the new one up to 70: these offsets are canonical trades of the new log.
        (70, (OLD, 90), (60, 70)),
        (70, (OLD, 65), (60, 65)),
        (70, (NEW, 65), None),
        (70, (NEW, 75), (70, 75)),
        # It is not beyond the cut.
        (50, (OLD, 90), None),
        (50, (NEW, 75), (60, 75)),
        (None, (UNKNOWN, 80), None),
        (70, (UNKNOWN, 80), None),
    ],
)
def test_rows_of_offsets_that_are_of_other_trades_go(normalised, sink, expected):
    reads, end = sink
    found = list(drops("kraken", 1, 60, 90, normalised, [Reached(True, end, reads)]))
    assert found == ([] if expected is None else [Drop(True, "kraken", 1, *expected)])


def test_what_is_done_is_said_before():
    assert str(Drop(False, "kraken", 0, 60, 90)) == (
        "rows of offsets 60 to 89 of Iceberg's bronze_trades_kraken are removed: these are of other trades"
    )
