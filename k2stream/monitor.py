"""Progress of a worker as metrics: batches and commits as Faust reports them, lag as the brokers do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from faust.sensors import Monitor

from k2stream import metrics
from k2stream.batch import TP, BatchApp, RecordBatch, committed

LAG_SECONDS = 5.0
"""How often the brokers are asked for their end offsets."""


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


def measure_stalls(stalls: Mapping[TP, float], _: Mapping[TP, int]) -> None:
    """Set for how long partitions with records have made no progress."""
    metrics.STALLED.clear()
    for tp, seconds in sorted(stalls.items(), key=lambda item: item[1]):
        metrics.STALLED.labels(tp.topic).set(seconds)


async def measure_lag(app: BatchApp) -> None:
    """Measure what the worker has yet to commit of each topic, until it is cancelled.

    What a sink holds in its buffers counts: while its destination is unavailable, its lag grows.
    """
    while True:
        await asyncio.sleep(LAG_SECONDS)
        with suppress(Exception):  # the brokers do not answer: the stall watch reports that
            async with asyncio.timeout(LAG_SECONDS):
                await _measure_lag(app)


async def _measure_lag(app: BatchApp) -> None:
    consumer = app.consumer
    tps = {tp for tp in consumer.assignment() if not tp.topic.endswith("-changelog")}
    if not app.started or app.rebalancing:
        return
    done, ends = committed(consumer), await consumer.highwaters(*tps) if tps else {}
    if fresh := tps - done.keys():
        done |= await consumer.earliest_offsets(*fresh)
    metrics.CONSUMER_LAG.clear()
    for tp, end in ends.items():
        metrics.CONSUMER_LAG.labels(tp.topic).inc(max(int(end) - done[tp], 0))
