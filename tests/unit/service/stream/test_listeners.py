"""Listeners of a source: what is new is found once for all, and they are told a few at once."""

import asyncio

import pytest

from k2stream.service.stream import listeners
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.latest import LatestLog
from k2stream.service.stream.listeners import Listened

KEY = "x:BTC/USDT"


def entry(offset):
    return StreamEntry(KEY, 0, Place(offset, offset), 60_000 * offset, 1, None)


class Counted(LatestLog):
    """A log that counts how often it is searched."""

    searched = 0

    def after(self, keys, partition, place):
        self.searched += 1
        return super().after(keys, partition, place)


@pytest.fixture
def source():
    made = Listened()
    made.log = Counted()
    made.log.begin({0: 0})
    return made


def test_what_is_new_is_found_once_for_all_that_are_at_the_same_place(source):
    first, second = entry(0), entry(1)
    source.log.add(first)
    assert [list(source.news([KEY], 0, Place(-1))) for _ in range(3)] == [[first]] * 3
    assert source.log.searched == 1
    assert source.news([KEY], 0, first.place) == []
    assert source.news(["x:ETH/USDT"], 0, Place(-1)) == []
    source.log.add(second)
    assert source.news([KEY], 0, Place(-1)) == [first, second]
    assert source.news([KEY], 0, first.place) == [second]


def test_a_place_before_the_log_has_no_news(source):
    source.log.begin({0: 5})
    assert source.news([KEY], 0, Place(2)) is None


def test_a_log_that_begins_anew_is_asked_again(source):
    source.log.add(entry(0))
    assert source.news([KEY], 0, Place(-1)) != []
    source.log.begin({0: 0})
    source.log.positions[0] = Place(0, 0)
    source.forget_news()
    assert source.news([KEY], 0, Place(-1)) == []


async def test_others_get_their_turn_while_many_are_told(source, monkeypatch):
    monkeypatch.setattr(listeners, "AT_ONCE", 2)
    said = []

    class Listener:
        def flush(self):
            said.append("told")

    async def other():
        said.append("other")

    many = [Listener() for _ in range(5)]
    turn = asyncio.create_task(other())
    await source.tell(many)
    await turn
    assert said == ["told", "told", "other", "told", "told", "told"]
