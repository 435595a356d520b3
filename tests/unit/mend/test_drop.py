"""Of a log whose offsets were given twice: whose rows mean another trade than the canonical ones."""

import pytest

from k2stream.mend.drop import Drop, Reached, drops

OLD, NEW, UNKNOWN = False, True, None


@pytest.mark.parametrize(
    ("normalised", "sink", "end"),
    [
        # The normaliser has read the old log: what of the new one is below 90 is published again above.
        (False, (OLD, 88), None),
        (False, (NEW, 80), 80),
        (False, (NEW, 95), 90),
        (False, (NEW, 55), None),
        # It has not: the new log is the one that canonical trades are of.
        (True, (OLD, 90), 90),
        (True, (OLD, 65), 65),
        (True, (OLD, 60), None),
        (True, (NEW, 75), None),
        (False, (UNKNOWN, 80), None),
        (True, (UNKNOWN, 80), None),
    ],
)
def test_rows_of_offsets_that_are_of_other_trades_go(normalised, sink, end):
    reads, reached = sink
    found = list(drops("kraken", 1, 60, 90, [Reached(True, reached, reads)], normalised=normalised))
    assert found == ([] if end is None else [Drop(True, "kraken", 1, 60, end, normalised)])


def test_what_is_done_is_said_before():
    assert str(Drop(False, "kraken", 0, 60, 90, False)) == (
        "rows of offsets 60 to 89 of Iceberg's bronze_trades_kraken are removed: these are of other trades"
    )
