"""The interface between a sink and its destination."""

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

CALM_SECONDS = 60.0
RETRY_BASE_SECONDS, RETRY_CAP_SECONDS = 0.1, 10.0


class DestinationUnavailable(Unavailable):
    """The destination cannot accept the call now; the sink retries it."""


class MissingRows(Inconsistent):
    """The destination lacks rows that the group has committed; the message says what an operator must do."""


class WentBack(Inconsistent):
    """The stored position is not the one a batch continues from; `found` has it, None for nothing."""

    def __init__(self, found: Mapping[Key, SinkPosition | None]) -> None:
        self.found = dict(found)
        ends = (
            f"{table} holds {partition} up to offset {(position or SinkPosition()).offset}"
            for (table, partition), position in self.found.items()
        )
        super().__init__(f"{', '.join(ends)}: that is not what the rows to be written go on from")


class Destination(Protocol):
    """Where rows become durable. Calls are made one at a time, off the event loop.

    Each may raise DestinationUnavailable.
    """

    def prepare(self, routes: Sequence[Route]) -> None:
        """Create what the routes need. Called once, before any other call."""

    def positions(self, route: Route) -> Mapping[int, SinkPosition]:
        """How far each partition of the route's topic is durable in the route's table."""

    def open(self, positions: Mapping[Key, SinkPosition]) -> None:
        """Store the positions from which tables continue.

        Raises WentBack where later rows exist already, which would be written twice.
        """

    def write(self, route: Route, batch: Rows) -> int:
        """Make a whole batch durable or none of it; returns the rows added. The same batch may be sent again.

        May raise WentBack where positions are stored with the rows.
        """

    def save(self, moves: Mapping[Key, Move]) -> None:
        """Make positions durable, unless `write` has done so.

        Raises WentBack when a table is not where its move starts. The same moves may be sent again.
        """

    def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to write a table: by age in s or rows; at `max_bytes` of all tables together, the largest one.

    With `calm_bytes`, the largest one is also written at these if its buffer is CALM_SECONDS old: where rows
    arrive slowly, memory matters more than the number of writes. Every `check_seconds`, the sink checks that
    the destination still has the rows it had.
    """

    flush_seconds: float
    max_rows: int
    max_bytes: int
    save_seconds: float
    check_seconds: float = 5.0
    calm_bytes: int | None = None

    def deadline(self, table: Table) -> float:
        """The time (monotonic seconds) by which the table's buffer must be written."""
        return table.since + self.flush_seconds

    def is_full(self, tables: Sequence[Table], largest: Table, now: float) -> bool:
        """Whether the buffers of all tables take too much memory at `now` (monotonic seconds)."""
        held = sum(table.bytes for table in tables)
        calm = self.calm_bytes is not None and held >= self.calm_bytes and now >= largest.since + CALM_SECONDS
        return calm or held >= self.max_bytes


def backoff(base: float = RETRY_BASE_SECONDS, cap: float = RETRY_CAP_SECONDS) -> Iterator[float]:
    """Seconds to wait before each retry: doubled up to a cap, with a jitter of ±50 %."""
    delay = base
    while True:
        yield delay * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
        delay = min(delay * 2, cap)
