"""The topics that a worker reads and keeps its tables in are the same for as long as it runs (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class TopicChange(NamedTuple):
    """A topic that is another than it was, or gone, and for how many seconds each answer has said so."""

    topic: str
    was: str
    now: str | None
    seconds: float

    def __str__(self) -> str:
        if self.now is None:
            return f"topic {self.topic} is gone"
        return f"{self.topic} was made anew under the running worker: it is topic {self.now}, not {self.was}"


class SameTopics:
    """The ids of topics as they were first seen; where a broker has none nothing is said of them."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._since: dict[str, float] = {}

    def __contains__(self, topic: object) -> bool:
        """Whether the topic's id is known."""
        return topic in self._known

    def observe(self, now: float, shown: Mapping[str, str | None]) -> list[TopicChange]:
        """Changes by now (s, from a monotonic clock); `shown` has "" for no id, None for no such topic."""
        for topic, found in shown.items():
            if found:
                self._known.setdefault(topic, found)
        changed = {
            topic: found
            for topic, found in shown.items()
            if topic in self._known and found != self._known[topic] and found != ""
        }
        self._since = {topic: self._since.get(topic, now) for topic in changed}
        return [
            TopicChange(topic, self._known[topic], found, now - self._since[topic])
            for topic, found in changed.items()
        ]
