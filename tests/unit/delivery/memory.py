"""A destination in memory, deliveries for it, and what acknowledges them."""

import asyncio
import re
import threading

import numpy as np
import pyarrow as pa
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.delivery.destination import WentBack
from k2stream.delivery.route import Route, delivered
from k2stream.delivery.sink import Away, Policy

TOPIC = "trades"
SCHEMA = pa.schema([pa.field("text", pa.string())])


def text(value: bytes | None) -> str:
    return (value or b"").decode()


ROUTE = Route(
    TOPIC,
    "table",
    SCHEMA,
    lambda batch: delivered(batch, {"text": pa.array(list(map(text, batch.values)))}, SCHEMA),
)
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)


def records(first, last, partition=0):
    offsets = np.arange(first, last + 1)
    values: list[bytes | None] = [b"%d" % offset for offset in offsets]
    return RecordBatch(TP(TOPIC, partition), offsets, offsets * 0, [None] * len(values), values)


class Memory:
    """A destination that holds rows by token, and fails as told."""

    def __init__(self, held=None):
        self.held = held or {}
        self.rows, self.calls, self.failures = {}, [], []
        self.called = threading.Event()

    def prepare(self, routes):
        """There is nothing to prepare."""

    def positions(self, route):
        return dict(self.held)

    def open(self, positions):
        self.calls.append(("open", {at.partition: found.offset for (_, at), found in positions.items()}))
        self.held |= {at.partition: found for (_, at), found in positions.items()}

    def write(self, route, batch):
        token = re.sub("@[^,]+", "", batch.token)
        self.calls.append(("write", token))
        self.called.set()
        failure = self.failures.pop(0) if self.failures else ""
        if failure != "away":
            self.rows[token] = [text for piece in batch.pieces for text in piece.rows["text"].to_pylist()]
        if failure:
            raise Away(failure)
        return batch.size

    def save(self, moves):
        back = {key: found for key, move in moves.items() if self.differs(found := self.at(key), move)}
        if back:
            raise WentBack(back)
        self.calls.append(("save", {at.partition: move.position.offset for (_, at), move in moves.items()}))
        self.held |= {at.partition: move.position for (_, at), move in moves.items()}

    def at(self, key):
        return self.held.get(key[1].partition)

    def differs(self, found, move):
        return found is None or found.epoch != move.position.epoch or found.offset < move.after

    def close(self):
        self.calls.append(("close", None))


class Acks(list):
    def __init__(self):
        super().__init__()
        self.came = asyncio.Event()

    def of(self, name):
        async def acknowledge():
            self.append(name)
            self.came.set()

        return acknowledge


class Consumer:
    """Goes back as it is asked to, and remembers where to."""

    def __init__(self):
        self.asked, self.went = [], asyncio.Event()

    async def go_back(self, offsets, between):
        between()
        self.asked.append(dict(offsets))
        self.went.set()


async def beginning(partition):
    return 0


async def nowhere(offsets, between):
    raise AssertionError(f"nobody went back: {offsets}")
