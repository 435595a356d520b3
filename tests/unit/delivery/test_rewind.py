import pytest

from k2stream.delivery.progress import SourcePartition
from k2stream.delivery.rewind import target
from k2stream.model.errors import StateRefused

WHERE = ("t", SourcePartition("x", 0))


@pytest.mark.parametrize(
    ("held", "committed", "beginning", "wanted"),
    [
        (99, 100, 0, None),  # all is there
        (120, 100, 0, None),  # written, not acknowledged: skipped when it is read again
        (-1, None, 0, None),  # a first start
        (-1, 100, 0, 0),  # a wiped table
        (39, 100, 40, 40),  # all that is missing is still there
        (9, 10, 40, None),  # nothing that was durable is missing: it expired before it was read
        (-1, None, 40, None),  # nor here: a first start on an old topic
        (49, 100, 0, 50),  # a restored backup
    ],
)
def test_where_a_group_goes_back_to(held, committed, beginning, wanted):
    assert target(held, committed, beginning, 200, WHERE) == wanted


def test_a_topic_that_ends_before_the_table_was_created_again():
    with pytest.raises(StateRefused, match="t: x:0 is durable up to offset 200, but the topic ends at 200"):
        target(200, 0, 0, 200, WHERE)


def test_rows_that_are_nowhere_any_more_are_not_given_up_in_silence():
    """A wiped table was filled from offset 40 on, and nobody said that 0 to 39 were gone."""
    with pytest.raises(
        StateRefused, match="t went back to offset -1 of x:0, and Kafka begins at 40: rows of offsets"
    ):
        target(-1, 100, 40, 200, WHERE)
