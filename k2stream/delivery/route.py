"""Which topic fills which table, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from k2stream import deadletter, topics
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.model import clock
from k2stream.model.roles import Role
from k2stream.tracing import Traced

OFFSET = "_offset"
DELIVERY = pa.schema([pa.field(OFFSET, pa.int64())])
"""Columns that rows carry until they are written and that no table stores: the offset in their topic."""

Marks = Mapping[str, int]


def keep_all(rows: pa.Table) -> pa.Table:
    """Merge nothing: no row replaces another."""
    return rows


def no_replays(rows: pa.Table, high_water_marks: Marks) -> tuple[pa.Table, Marks]:
    """For rows that cannot be replayed under another offset: their topic offset is their identity."""
    return rows, high_water_marks


@dataclass(frozen=True, slots=True)
class Route:
    """A topic, its table, and the pure functions that convert between them."""

    topic: str
    table: str
    schema: pa.Schema
    columns: Callable[[RecordBatch], pa.Table]
    """Converts a delivery to rows of `schema` with their offsets (DELIVERY)."""

    fresh: Callable[[pa.Table, Marks], tuple[pa.Table, Marks]] = no_replays
    """Returns the rows with new content, and the marks after them."""

    merge: Callable[[pa.Table], pa.Table] = keep_all
    """Reduces the rows of one batch to those to be written."""

    latency: str = ""
    """The label of k2_latency_seconds{to=…}; empty when latency is not measured."""

    since: str = "receive_time"
    """The column (µs) from which latency is measured."""

    traced: Callable[[pa.Table], Traced] | None = None
    """Returns the trades of rows that have `process_time`; None where they are no trades."""

    tier: Role = Role.HOT
    """The role that fills the table."""

    def letter(self, batch: RecordBatch, row: int, cause: str) -> DeadLetter:
        """The dead letter for a record that cannot become a row of the table."""
        raw = {topics.raw(name): name for name in topics.EXCHANGES}
        keyed = (batch.keys[row] or b"").decode(errors="replace").partition(":")[0]
        exchange = raw.get(self.topic, keyed)
        now = clock.now_us()
        return deadletter.of_record(batch, row, cause, exchange, stage=self.tier, time=now, reader=self.table)


def delivered(batch: RecordBatch, columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.Table:
    """The columns as a table of the schema, with offsets."""
    return pa.table({**{name: columns[name] for name in schema.names}, OFFSET: pa.array(batch.offsets)})


def nothing(route: Route) -> pa.Table:
    """An empty table of the route's schema, with offsets."""
    return pa.schema([*route.schema, *DELIVERY]).empty_table()


def beyond(rows: pa.Table, offset: int) -> pa.Table:
    """The rows after an offset. Rows must be in offset order."""
    return rows.slice(int(np.searchsorted(rows[OFFSET].to_numpy(), offset, side="right")))


def joined(pieces: list[pa.Table]) -> pa.Table:
    """Rows of several deliveries as one table, without a copy: destinations copy what they write."""
    return pa.concat_tables(pieces).unify_dictionaries()


def stored(rows: pa.Table) -> pa.Table:
    """The rows without the columns of DELIVERY."""
    return rows.drop_columns([name for name in DELIVERY.names if name in rows.column_names])
