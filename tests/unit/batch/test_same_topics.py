"""A topic that is another than it was when it was first seen."""

import pytest

from k2stream.batch._same_topics import SameTopics


def test_topics_that_stay_are_no_change():
    same = SameTopics()
    assert same.observe(0.0, {"raw": "1a", "state": "2a"}) == []
    assert same.observe(5.0, {"raw": "1a", "state": "2a"}) == []


@pytest.mark.parametrize("silent", [{}, {"raw": ""}], ids=["no answer", "no ids"])
def test_a_broker_that_says_nothing_says_nothing_against_it(silent):
    same = SameTopics()
    same.observe(0.0, {"raw": "1a"})
    assert same.observe(5.0, silent) == []
    assert (same.untold(silent), same.untold({"raw": "1a"}), same.untold({"raw": None})) == (["raw"], [], [])
    assert same.observe(10.0, {"raw": "1a"}) == []


def test_a_topic_recreated_is_told_for_as_long_as_each_answer_has_said_so():
    same = SameTopics()
    same.observe(0.0, {"raw": "1a", "state": "2a"})
    (gone,) = same.observe(5.0, {"raw": None, "state": "2a"})
    assert (gone.seconds, str(gone)) == (0.0, "topic raw is gone")
    (anew,) = same.observe(8.0, {"raw": "1b", "state": "2a"})
    assert anew.seconds == 3.0
    assert "raw was recreated" in str(anew) and "1b, not 1a" in str(anew)
    assert same.observe(9.0, {"raw": "1a", "state": "2a"}) == []
    (again,) = same.observe(11.0, {"raw": "1b", "state": "2a"})
    assert again.seconds == 0.0


def test_a_topic_that_is_not_yet_there_is_known_once_it_is():
    same = SameTopics()
    assert same.observe(0.0, {"state": None}) == []
    assert same.observe(1.0, {"state": "2a"}) == []
    assert same.observe(2.0, {"state": "2b"})
