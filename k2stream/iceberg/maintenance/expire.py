"""Expires old snapshots, except those that sinks read their positions from."""

from __future__ import annotations

from collections.abc import Callable

from pyiceberg.table import Table

from k2stream.iceberg.commit import committed
from k2stream.iceberg.maintenance.plan import Commit, expirable
from k2stream.iceberg.writer import PROPERTY


def planned(table: Table, before_ms: int) -> list[int]:
    """Ids of the expirable snapshots made before a time (ms since 1970)."""
    commits = [
        Commit(
            snapshot.snapshot_id,
            snapshot.parent_snapshot_id,
            snapshot.timestamp_ms,
            snapshot.summary is not None and snapshot.summary[PROPERTY] is not None,
        )
        for snapshot in table.snapshots()
    ]
    return expirable(commits, {ref.snapshot_id for ref in table.refs().values()}, before_ms)


def expire(load: Callable[[], Table], before_ms: int) -> int:
    """Expire snapshots in one commit; returns how many. Files of theirs become orphans. Raises Overtaken."""

    def attempt() -> int:
        table = load()
        found = planned(table, before_ms)
        if found:
            table.maintenance.expire_snapshots().by_ids(found).commit()
        return len(found)

    return committed(attempt)
