"""A broker of single-partition topics, as far as the chain sees it: logs, groups, what is lost of them."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import NamedTuple

import numpy as np
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.batch.proof import LogIdentity, Shown, proof_of

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
        self.cuts = 0

    @property
    def state(self) -> tuple[int, int]:
        """Changes when clients lose their connections to it."""
        return self.incarnation, self.cuts

    @property
    def end(self) -> int:
        """The offset after the last."""
        return len(self.records)

    def append(self, record: Record | None) -> int:
        """The offset it got."""
        self.records.append(record)
        return self.end - 1

    def cut(self, end: int) -> None:
        """Lose the records from `end` on; their offsets are used again."""
        del self.records[end:]
        self.cuts += 1

    def shown(self, kept: LogIdentity | None) -> Shown:
        """What a client sees of it that asks for the record of an identity; ids of topics are off."""
        offset = -1 if kept is None else kept.proof.offset
        record = self.records[offset] if self.begin <= offset < self.end else None
        proof = record and proof_of(offset, record.timestamp, record.key, record.value)
        return Shown(self.begin, self.end, proof or None)

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
        self.identities: defaultdict[str, dict[str, LogIdentity]] = defaultdict(dict)
        self.owner: dict[str, object] = {}
        self.said: list[str] = []  # what workers reported and went on from

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

    def make_anew(self, topic: str) -> None:
        """The topic is deleted and created again."""
        self.logs[topic] = Log(topic)

    def commit(
        self,
        group: str,
        worker: object,
        offsets: dict[str, int],
        identities: dict[str, LogIdentity] | None = None,
    ) -> bool:
        """Only a member's counts."""
        if not self.is_member(group, worker):
            return False
        self.committed[group] |= offsets
        self.identities[group] |= identities or {}
        return True
