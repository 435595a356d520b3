"""Appends rows together with their offsets in the snapshot: both are committed, or neither is.

Each snapshot of a sink has, in PROPERTY, how far every topic partition is in the table, so the newest one is
enough. Snapshots of maintenance may be newer, therefore the ancestors are searched. Whoever expires snapshots
copies the property into the one that stays on top (`carried`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from k2stream import metrics
from k2stream.delivery.buffer import Rows
from k2stream.delivery.destination import DestinationUnavailable, WentBack
from k2stream.delivery.epochs import follows
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route, beyond, joined, stored
from k2stream.iceberg.commit import committed
from k2stream.iceberg.tables import rows_for
from k2stream.model.errors import ConfigError

PROPERTY = "k2.positions"
EPOCHS, SOURCES = "k2.epoch", "k2.source"
"""Both by topic partition; snapshots of earlier releases have none."""

_CARRIED = (PROPERTY, EPOCHS, SOURCES)
CONFLICTS = 20


def positions(table: Table) -> dict[SourcePartition, SinkPosition]:
    """How far each topic partition is, from the table's current snapshot and its ancestors.

    Raises ConfigError when there are rows, but no snapshot has positions.
    """
    carried_on = carried(table)
    if carried_on:
        return _decode(carried_on)
    newest = table.current_snapshot()
    if newest is not None and newest.summary and newest.summary["total-records"] != "0":
        raise ConfigError(
            f"{'.'.join(table.name())} has rows, but no snapshot that says from which offsets ({PROPERTY}): "
            "were they expired? Drop the table to fill it again from Kafka, or append the property"
        )
    return {}


def carried(table: Table) -> dict[str, str]:
    """The positions as properties that a maintenance commit copies; empty when no snapshot has them."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        summary = snapshot.summary
        if summary is not None and summary[PROPERTY] is not None:
            found = {name: summary[name] for name in _CARRIED}
            return {name: text for name, text in found.items() if text is not None}
        parent = snapshot.parent_snapshot_id
        snapshot = table.snapshot_by_id(parent) if parent is not None else None
    return {}


def append(load: Callable[[], Table], route: Route, batch: Rows) -> int:
    """Commit a batch without the rows that the table already has; returns the rows added.

    After a conflict with another writer, or a lost answer, it starts again from the table's new state:
    offsets that its ancestors cover are dropped, the rest is appended. Raises DestinationUnavailable after
    CONFLICTS conflicts, WentBack when the table is not where the batch continues from.
    """
    for _ in range(CONFLICTS):
        table = load()
        durable = positions(table)
        _check(route, batch, durable)
        pieces = [
            beyond(piece.rows, durable[piece.partition].offset) if piece.partition in durable else piece.rows
            for piece in batch.pieces
        ]
        after = _later(durable, batch.positions)
        if after == durable:
            return 0
        rows = route.merge(joined(pieces))
        try:
            table.append(rows_for(table, stored(rows)), snapshot_properties=_encode(after))
        except CommitFailedException:
            continue
        _measure(table, route.table)
        return len(rows)
    raise DestinationUnavailable(f"{route.table}: {CONFLICTS} commits in a row were overtaken by others")


def _measure(table: Table, name: str) -> None:
    metrics.COLD_COMMITS.labels(name).inc()
    snapshot = table.current_snapshot()
    if snapshot is not None and snapshot.summary is not None:
        metrics.COLD_FILES.labels(name).set(int(snapshot.summary["total-data-files"] or 0))


def reposition(load: Callable[[], Table], at: SourcePartition, position: SinkPosition) -> None:
    """Commit no rows, only the position that a partition continues from.

    Does nothing when the next batch will bring it. Raises WentBack when the table has later rows, and
    Overtaken.
    """

    def attempt() -> None:
        table = load()
        durable = positions(table)
        found = durable.get(at, SinkPosition())
        if found.offset > position.offset:
            raise WentBack({(".".join(table.name()), at): found})
        if found.epoch or found.offset != position.offset:
            commit_positions(table, {**durable, at: position})

    committed(attempt)


def _check(route: Route, batch: Rows, durable: Mapping[SourcePartition, SinkPosition]) -> None:
    """Raise WentBack unless the first piece of each partition continues from the stored position."""
    first = {piece.partition: piece for piece in reversed(batch.pieces)}
    back = {
        (route.table, at): durable.get(at)
        for at, piece in first.items()
        if not follows(piece.first, piece.epoch, durable.get(at, SinkPosition()))
    }
    if back:
        raise WentBack(back)


def commit_positions(table: Table, durable: Mapping[SourcePartition, SinkPosition]) -> None:
    """Commit no rows, only how far each topic partition is in the table."""
    nothing = table.schema().as_arrow().empty_table()
    table.append(nothing, snapshot_properties=_encode(durable))


def _later(
    durable: Mapping[SourcePartition, SinkPosition], written: Mapping[SourcePartition, SinkPosition]
) -> dict[SourcePartition, SinkPosition]:
    newer = {
        partition: position
        for partition, position in written.items()
        if position.offset > durable.get(partition, SinkPosition()).offset
    }
    return {**durable, **newer}


def _encode(durable: Mapping[SourcePartition, SinkPosition]) -> dict[str, str]:
    written = {
        PROPERTY: {
            str(at): [position.offset, dict(position.high_water_marks)] for at, position in durable.items()
        },
        EPOCHS: {str(at): position.epoch for at, position in durable.items() if position.epoch},
        SOURCES: {str(at): position.source for at, position in durable.items() if position.source},
    }
    return {name: msgspec.json.encode(values).decode() for name, values in written.items()}


def _decode(written: Mapping[str, str]) -> dict[SourcePartition, SinkPosition]:
    found = msgspec.json.decode(written[PROPERTY], type=dict[str, tuple[int, dict[str, int]]])
    epochs, sources = (
        msgspec.json.decode(written.get(name, "{}"), type=dict[str, str]) for name in (EPOCHS, SOURCES)
    )
    split = {name: name.rsplit(":", 1) for name in found}
    return {
        SourcePartition(split[name][0], int(split[name][1])): SinkPosition(
            offset, high_water_marks, epochs.get(name, ""), sources.get(name, "")
        )
        for name, (offset, high_water_marks) in found.items()
    }
