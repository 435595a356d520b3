"""Topics and the exchanges they belong to."""

import pytest

from k2stream import topics
from k2stream.model.errors import ConfigError


def test_a_raw_topic_belongs_to_its_exchange():
    assert [topics.exchange_of(topics.raw(name)) for name in topics.EXCHANGES] == list(topics.EXCHANGES)


@pytest.mark.parametrize("topic", [topics.NORMALIZED, topics.raw("nosuch"), ""])
def test_a_topic_of_no_exchange_is_refused_in_one_line(topic):
    with pytest.raises(ConfigError, match="K2_EXCHANGES") as refusal:
        topics.exchange_of(topic)
    assert str(refusal.value).startswith(topic) and "\n" not in str(refusal.value)
