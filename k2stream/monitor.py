"""What Faust tells its monitor of batches and commits, as metrics: once per batch, never per record."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from faust.sensors import Monitor

from k2stream import metrics
from k2stream.batch import TP, RecordBatch


class WorkerMonitor(Monitor):
    """Faust's monitor, which also counts batches and records by topic, and notes when it was committed."""

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> dict[Any, Any] | None:
        """Count a batch that an agent is given."""
        if isinstance(event.value, RecordBatch):
            metrics.BATCHES.labels(tp.topic).inc()
            metrics.RECORDS.labels(tp.topic).inc(len(event.value))
        state: dict[Any, Any] | None = super().on_stream_event_in(tp, offset, stream, event)
        return state

    def on_tp_commit(self, tp_offsets: MutableMapping[TP, int]) -> None:
        """Note the time of a commit, by topic."""
        for topic in {tp.topic for tp in tp_offsets}:
            metrics.COMMITTED.labels(topic).set_to_current_time()
        super().on_tp_commit(tp_offsets)
