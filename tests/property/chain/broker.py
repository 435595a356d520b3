"""A broker of single-partition topics, as far as the chain sees it: logs, groups, what is lost of them."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import NamedTuple

import numpy as np
from faust.types import TP

from k2stream.batch import RecordBatch

INCARNATIONS = count(1)


class Record(NamedTuple):
    """A record without its offset; times in ms."""

    key: bytes
    value: bytes
    timestamp: int


class Log:
    """Partition 0 of a topic: offset `n` is `records[n]`, None for a marker; `begin` on is retained."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.incarnation = next(INCARNATIONS)
        self.records: list[Record | None] = []
        self.begin = 0

    @property
    def end(self) -> int:
        """The offset after the last."""
        return len(self.records)

    def append(self, record: Record | None) -> int:
        """The offset it got."""
        self.records.append(record)
        return self.end - 1

    def read(self, start: int, limit: int) -> RecordBatch:
        """Up to `limit` offsets from `start` on, perhaps without a record among them."""
        end = min(start + limit, self.end)
        found = [(offset, row) for offset in range(start, end) if (row := self.records[offset]) is not None]
        return RecordBatch(
            TP(self.topic, 0),
            np.array([offset for offset, _ in found], np.int64),
            np.array([row.timestamp for _, row in found], np.int64),
            [row.key for _, row in found],
            [row.value for _, row in found],
            start,
            end,
        )


class Broker:
    """Topics, and for each group its owner and committed offsets."""

    def __init__(self) -> None:
        self.logs: dict[str, Log] = {}
        self.committed: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.owner: dict[str, object] = {}

    def log(self, topic: str) -> Log:
        """The topic's log, created when it is asked for."""
        if topic not in self.logs:
            self.logs[topic] = Log(topic)
        return self.logs[topic]

    def join(self, group: str, worker: object) -> None:
        """The group's partitions are the worker's from now on; who had them before is no member."""
        self.owner[group] = worker

    def is_member(self, group: str, worker: object) -> bool:
        """What a heartbeat answers."""
        return self.owner.get(group) is worker

    def commit(self, group: str, worker: object, offsets: dict[str, int]) -> bool:
        """Only a member's counts."""
        if not self.is_member(group, worker):
            return False
        self.committed[group] |= offsets
        return True
