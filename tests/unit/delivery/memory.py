"""A destination in memory, deliveries for it, and what acknowledges them."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from faust.types import TP

from k2stream.batch import RecordBatch
from k2stream.delivery.buffer import Rows
from k2stream.delivery.destination import WentBack
from k2stream.delivery.epochs import Key, Move
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route, delivered
from k2stream.delivery.sink import DestinationUnavailable, Policy

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


def records(first: int, last: int, partition: int = 0) -> RecordBatch:
    offsets = np.arange(first, last + 1)
    values: list[bytes | None] = [b"%d" % offset for offset in offsets]
    return RecordBatch(TP(TOPIC, partition), offsets, offsets * 0, [None] * len(values), values)


class Memory:
    """A destination that holds rows by token, and fails as told."""

    def __init__(self, held: Mapping[int, SinkPosition] | None = None) -> None:
        self.held = dict(held or {})
        self.rows: dict[str, list[str]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.failures: list[str] = []
        self.called = threading.Event()

    def prepare(self, routes: Sequence[Route]) -> None:
        """There is nothing to prepare."""

    def positions(self, route: Route) -> Mapping[int, SinkPosition]:
        return dict(self.held)

    def open(self, positions: Mapping[Key, SinkPosition]) -> None:
        self.calls.append(("open", {at.partition: found.offset for (_, at), found in positions.items()}))
        self.held |= {at.partition: found for (_, at), found in positions.items()}

    def write(self, route: Route, batch: Rows) -> int:
        token = re.sub("@[^,]+", "", batch.token)
        self.calls.append(("write", token))
        self.called.set()
        failure = self.failures.pop(0) if self.failures else ""
        if failure != "away":
            self.rows[token] = [text for piece in batch.pieces for text in piece.rows["text"].to_pylist()]
        if failure:
            raise DestinationUnavailable(failure)
        return batch.size

    def save(self, moves: Mapping[Key, Move]) -> None:
        back = {key: found for key, move in moves.items() if self.differs(found := self.at(key), move)}
        if back:
            raise WentBack(back)
        self.calls.append(("save", {at.partition: move.position.offset for (_, at), move in moves.items()}))
        self.held |= {at.partition: move.position for (_, at), move in moves.items()}

    def at(self, key: Key) -> SinkPosition | None:
        return self.held.get(key[1].partition)

    def differs(self, found: SinkPosition | None, move: Move) -> bool:
        return found is None or found.epoch != move.position.epoch or found.offset < move.after

    def close(self) -> None:
        self.calls.append(("close", None))


class Acks(list):
    """The names of what was acknowledged, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def named(self, name: object) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self.append(name)
            self.came.set()

        return acknowledge


class Consumer:
    """Goes back as it is asked to, and remembers where to."""

    def __init__(self) -> None:
        self.asked: list[dict[SourcePartition, int]] = []
        self.went = asyncio.Event()

    async def go_back(self, offsets: Mapping[SourcePartition, int], between: Callable[[], None]) -> None:
        between()
        self.asked.append(dict(offsets))
        self.went.set()


async def beginning(partition: SourcePartition) -> int:
    return 0


async def nowhere(offsets: Mapping[SourcePartition, int], between: Callable[[], None]) -> None:
    raise AssertionError(f"nobody went back: {offsets}")
