"""What a sink asks of its destination, and how it may answer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from k2stream.delivery.buffer import Rows, Table
from k2stream.delivery.epochs import Key, Move
from k2stream.delivery.progress import SinkPosition
from k2stream.delivery.route import Route
from k2stream.model.errors import Inconsistent, Unavailable

RETRY_BASE_SECONDS, RETRY_CAP_SECONDS = 0.1, 10.0


class DestinationUnavailable(Unavailable):
    """The destination cannot take it now: the same will be tried again."""


class MissingRows(Inconsistent):
    """The destination lacks rows that the consumer group has passed: a person is told what to do."""


class WentBack(Inconsistent):
    """The destination is not where a batch goes on from: what it holds now, None for nothing."""

    def __init__(self, found: Mapping[Key, SinkPosition | None]) -> None:
        self.found = dict(found)
        ends = (
            f"{table} holds {partition} up to offset {(position or SinkPosition()).offset}"
            for (table, partition), position in self.found.items()
        )
        super().__init__(f"{', '.join(ends)}: that is not what the rows to be written go on from")


class Destination(Protocol):
    """Where rows become durable. Calls come one at a time, off the event loop.

    Each may raise DestinationUnavailable.
    """

    def prepare(self, routes: Sequence[Route]) -> None:
        """Create what the routes need; once, before anything else."""

    def positions(self, route: Route) -> Mapping[int, SinkPosition]:
        """How far each partition of the route's topic is durable in its table."""

    def open(self, positions: Mapping[Key, SinkPosition]) -> None:
        """Say where tables go on from now on.

        Raises WentBack where rows beyond are there already and would come twice.
        """

    def write(self, route: Route, batch: Rows) -> int:
        """Make a batch durable, all of it or nothing; the rows added. The same batch may come again.

        May raise WentBack where positions are part of it.
        """

    def save(self, moves: Mapping[Key, Move]) -> None:
        """Make positions durable, where `write` has not done so.

        Raises WentBack when a table is not where its move begins; the same moves may come again.
        """

    def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When buffers are written: a table's by age (s) or rows, the largest when all reach the bytes.

    Every `check_seconds` the destination is asked whether it still has what it had.
    """

    flush_seconds: float
    max_rows: int
    max_bytes: int
    save_seconds: float
    check_seconds: float = 5.0

    def deadline(self, table: Table) -> float:
        """When (monotonic seconds) what the table holds must be written."""
        return table.since + self.flush_seconds


def backoff(base: float = RETRY_BASE_SECONDS, cap: float = RETRY_CAP_SECONDS) -> Iterator[float]:
    """Seconds to wait before each retry: doubling to a cap, with jitter of half of it either way."""
    delay = base
    while True:
        yield delay * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        delay = min(delay * 2, cap)
