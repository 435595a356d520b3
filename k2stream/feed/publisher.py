"""Publishers of a feed's records: Kafka in a worker, memory in tests and measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from k2stream.feed.columns import Columns


class Publisher(Protocol):
    """Publishes records by (topic, partition)."""

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Publish records in order per partition; returns when they are durable.

        An error stops the feed, which never continues past records that may not have been published.
        """


class Record(NamedTuple):
    """One published record; its timestamp is in ms since 1970."""

    partition: int
    key: bytes
    value: bytes
    timestamp: int


class MemoryPublisher:
    """Keeps published records in memory, by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Append the records to their topics' lists."""
        for (topic, partition), column in columns.items():
            rows = zip(column.keys, column.values, column.timestamps, strict=True)
            self.topics.setdefault(topic, []).extend(Record(partition, *row) for row in rows)
