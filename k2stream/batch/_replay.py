"""Bulk replay of changelogs: applies a whole batch at once, where Faust creates one event per entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k2stream.batch._records import TP, RecordBatch
from k2stream.batch._table import BatchTable

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp


def replay(app: BatchApp, table: BatchTable, tp: TP, batch: RecordBatch) -> None:
    """Apply a batch of changelog partition ``tp``, and update the progress of Faust's recovery."""
    recovery = app.tables.recovery
    if tp in recovery.active_tps:
        if not recovery.in_recovery:
            return  # written by this worker, or by a zombie
        offsets = recovery.active_offsets
    elif tp in recovery.standby_tps:
        offsets = recovery.standby_offsets
    else:
        return
    seen = offsets.get(tp)
    start = 0 if seen is None else int(batch.offsets.searchsorted(seen, side="right"))
    if start < len(batch):
        table.apply_changelog(tp.partition, batch.keys[start:], batch.values[start:], batch.last_offset)
    if seen is None or seen < batch.last_offset:
        offsets[tp] = batch.last_offset
    if recovery.in_recovery and not recovery.need_recovery():
        recovery.flush_buffers()
        recovery.signal_recovery_end.set()
    if not app.tables.standbys_ready and not recovery.standby_remaining_total():
        app.tables.on_standbys_ready()
