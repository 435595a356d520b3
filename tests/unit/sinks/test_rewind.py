import pytest

from k2stream.errors import ConfigError
from k2stream.sinks.rewind import target


@pytest.mark.parametrize(
    ("held", "committed", "beginning", "wanted"),
    [
        (99, 100, 0, None),  # all is there
        (120, 100, 0, None),  # written, not acknowledged: skipped when it is read again
        (-1, None, 0, None),  # a first start
        (-1, 100, 0, 0),  # a wiped table
        (-1, 100, 40, 40),  # as far back as retention reaches
        (49, 100, 0, 50),  # a restored backup
    ],
)
def test_where_a_group_goes_back_to(held, committed, beginning, wanted):
    assert target(held, committed, beginning, 200, "table") == wanted


def test_a_topic_that_ends_before_the_table_was_created_again():
    with pytest.raises(ConfigError, match="t: x:0 is durable up to offset 200, but the topic ends at 200"):
        target(200, 0, 0, 200, "t: x:0")
