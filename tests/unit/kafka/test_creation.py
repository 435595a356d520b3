"""A broker that does not show a new topic yet has not said that its count is another one."""

import pytest

from k2stream import topics
from k2stream.kafka import creation
from k2stream.kafka.admin import Admin
from k2stream.model.errors import ConfigError, Unavailable

NAME = "market.crypto.trades.normalized"


class Broker(Admin):
    """Answers one list of partitions after the other, the last one for ever."""

    def __init__(self, *counts):  # without a client
        self.counts = list(counts)

    async def describe_topics(self, names=None):
        count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return [{"topic": name, "partitions": [{}] * count} for name in names]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(creation, "_PAUSE_SECONDS", 0.0)


def topic(partitions):
    return topics.Topic(NAME, partitions, 1, "", "json")


@pytest.mark.asyncio
async def test_a_topic_that_is_shown_late_is_waited_for():
    await creation._check_partitions(Broker(*[0] * 100, 4), [topic(4)], "broker:9092")


@pytest.mark.asyncio
async def test_a_topic_that_is_never_shown_has_no_count(monkeypatch):
    monkeypatch.setattr(creation, "SHOWN_SECONDS", 0.0)
    with pytest.raises(Unavailable, match=f"broker:9092 do not show {NAME} within"):
        await creation._check_partitions(Broker(0), [topic(4)], "broker:9092")


@pytest.mark.asyncio
async def test_another_count_is_one():
    with pytest.raises(ConfigError, match=f"{NAME} has 2 partitions, the settings say 4"):
        await creation._check_partitions(Broker(0, 2), [topic(4)], "broker:9092")
