"""Detects source topics and changelogs that were recreated or deleted under a running worker (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class TopicChange(NamedTuple):
    """A topic that was recreated, or is gone (`now` is None), and for how many seconds all answers say so."""

    topic: str
    was: str
    now: str | None
    seconds: float

    def __str__(self) -> str:
        if self.now is None:
            return f"topic {self.topic} is gone"
        return f"{self.topic} was recreated under the running worker: it is topic {self.now}, not {self.was}"


class SameTopics:
    """Compares topic ids with those first seen. Topics without ids are not checked."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._since: dict[str, float] = {}

    def __contains__(self, topic: object) -> bool:
        """Whether the topic's id is known."""
        return topic in self._known

    def untold(self, shown: Mapping[str, str | None]) -> list[str]:
        """Return the topics whose ids are known, and which an answer does not tell."""
        return [topic for topic in self._known if shown.get(topic, "") == ""]

    def observe(self, now: float, shown: Mapping[str, str | None]) -> list[TopicChange]:
        """Return the changes at `now` (monotonic seconds); `shown` has "" for no id, None for no topic."""
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
