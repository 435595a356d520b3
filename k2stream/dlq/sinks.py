"""Replays a sink's dead letter: writes the row of its record into the one table that lacks it.

No other reader reads the record again; their results stay as they are.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa

from k2stream import faults
from k2stream.avro import registry
from k2stream.batch import TP, RecordBatch
from k2stream.clickhouse.destination import ClickHouse
from k2stream.deadletter import DeadLetter
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route, stored
from k2stream.dlq.refusal import Refused, check_passed
from k2stream.iceberg import owner, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.iceberg.tables import TABLES, rows_for
from k2stream.layers import gold
from k2stream.layers.routes import HOT
from k2stream.settings import IcebergSettings, KafkaSettings, Settings

SINKS = ("hot", "cold")
"""The stages whose dead letters lack a row in one table."""


def route_of(letter: DeadLetter) -> Route:
    """The route of the table that a dead letter names. Raises Refused when there is none."""
    cold = TABLES.get(letter.reader) if letter.stage == "cold" else None
    found = cold.route if cold else HOT.get(letter.reader) if letter.stage == "hot" else None
    if found is None or found.topic != letter.topic:
        raise Refused(f"no table {letter.reader!r} of stage {letter.stage} reads {letter.topic}")
    return found


def put(settings: Settings, letter: DeadLetter) -> int:
    """Write the row, unless the table has it; returns the rows written.

    Raises Refused for what still cannot be read, and for what the cold worker has not passed. A row that the
    hot worker writes too collapses with this one.
    """
    route = route_of(letter)
    rows = _row(settings.kafka, route, letter)
    if letter.stage == "cold":
        return committed(partial(_append, settings.iceberg, route, rows, letter))
    with closing(ClickHouse(settings.clickhouse)) as destination:
        return destination.add(route, rows)


def _row(settings: KafkaSettings, route: Route, letter: DeadLetter) -> pa.Table:
    value = letter.original_bytes
    registry.look_up([value], settings.registry)
    at = np.array([letter.offset], np.int64)
    batch = RecordBatch(TP(letter.topic, letter.partition), at, at * 0, [b""], [value])
    _, rows, causes = faults.read(batch, route.columns)
    if causes:
        raise Refused(f"{letter.reader} still cannot read it: {causes[0]}")
    return stored(rows)


def _append(settings: IcebergSettings, route: Route, rows: pa.Table, letter: DeadLetter) -> int:
    table = owner.own(open_catalog(settings), route.table)
    at = SourcePartition(letter.topic, letter.partition)
    check_passed(letter, writer.positions(table).get(at, SinkPosition()).offset + 1)
    names = [name for name in _IDENTITY if name in rows.column_names]
    names = [*gold.IDENTITY, "revision"] if "revision" in rows.column_names else names
    row = rows_for(table, rows)
    same = " and ".join(f"{name} == {_literal(row, name)}" for name in names)
    if len(table.scan(row_filter=same, selected_fields=("raw_offset",)).to_arrow()):
        return 0
    table.append(row)
    return len(row)


_IDENTITY = ("exchange", "raw_partition", "raw_offset")


def _literal(row: pa.Table, name: str) -> str:
    value = row[name][0].as_py()
    if isinstance(value, int):
        return str(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text.replace(chr(39), chr(39) * 2)}'"
