"""Lag is how many records a group has yet to read: never below zero, and none that are gone."""

from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from k2stream import topics
from k2stream.batch import TP
from k2stream.kafka import groups, lag
from k2stream.kafka.groups import Committed
from k2stream.model.roles import Role
from k2stream.platform.snapshot import SnapshotTaker
from k2stream.settings import make

GROUP = Role.CANDLES.group
RAW = topics.raw(topics.EXCHANGES[0])


class Client:
    """The broker's logs, as {topic: (first offset, end)}; the end may have moved on when it is asked for."""

    logs: dict[str, tuple[int, int]]

    def __init__(self, **_: Any):
        pass

    async def start(self):
        pass

    close = stop = start

    async def topics(self):
        return set(self.logs)

    async def end_offsets(self, partitions):
        return {tp: self._log(tp)[1] for tp in partitions}

    async def beginning_offsets(self, partitions):
        return {tp: self._log(tp)[0] for tp in partitions}

    def _log(self, tp):
        if tp.topic not in self.logs:
            raise KafkaTimeoutError("Failed to get offsets by times in 40000 ms")
        return self.logs[tp.topic]


@pytest.fixture
def measure(monkeypatch):
    """Measure the lag of a group with logs and committed offsets by topic."""
    monkeypatch.setattr(lag, "AIOKafkaConsumer", Client)
    monkeypatch.setattr(lag, "Admin", Client)

    async def measured(logs, committed, group=GROUP):
        async def offsets(_, __):
            return {TP(topic, 0): Committed(offset, "") for topic, offset in committed.items()}

        monkeypatch.setattr(Client, "logs", logs, raising=False)
        monkeypatch.setattr(groups, "offsets", offsets)
        async with lag.LagReader(make()) as lags:
            found = (await lags.lag([group]))[group]
            assert await lags.passed(group, 0.01) or any(found.values())
            return found

    return measured


async def test_what_is_not_committed_is_to_be_read(measure):
    assert await measure({topics.NORMALIZED: (0, 100)}, {topics.NORMALIZED: 60}) == {topics.NORMALIZED: 40}


async def test_records_that_expired_before_a_group_read_any_are_not_waited_for(measure):
    """k2 partitions, k2 replay --swap and k2 demo waited for records that no topic has any more."""
    assert await measure({topics.NORMALIZED: (100, 100)}, {}) == {topics.NORMALIZED: 0}
    assert await measure({topics.NORMALIZED: (90, 100)}, {}) == {topics.NORMALIZED: 10}


async def test_a_log_made_anew_is_unread(measure):
    """It was -600 records, which others made up for in a sum."""
    assert await measure({topics.NORMALIZED: (0, 400)}, {topics.NORMALIZED: 1000}) == {topics.NORMALIZED: 400}


async def test_a_status_is_read_where_a_topic_is_lost(measure):
    """k2 status failed, and k2 up showed none, where a topic was lost and its workers had refused."""
    logs = {topic: (0, 9) for of_group in groups.SOURCES.values() for topic in of_group if topic != RAW}
    with pytest.raises(KafkaTimeoutError):
        await measure(logs, {}, Role.NORMALIZE.group)
    async with SnapshotTaker(make(), {}) as taker:
        found = (await taker.take()).lag
    assert found[Role.NORMALIZE.group] == {
        topic: 9 for topic in groups.SOURCES[Role.NORMALIZE.group] if topic != RAW
    }
