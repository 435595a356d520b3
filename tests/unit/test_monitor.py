"""What workers count per batch."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
from prometheus_client import REGISTRY

from k2stream.batch import TP, RecordBatch
from k2stream.monitor import WorkerMonitor, _measure_lag


class Owner:
    pass


class Stream:
    def __init__(self):
        self.task_owner = Owner()

    def __str__(self):
        return "a stream"


def value(name, topic):
    return REGISTRY.get_sample_value(name, {"topic": topic}) or 0.0


def batch(records):
    offsets = np.arange(records, dtype=np.int64)
    return RecordBatch(TP("counted", 0), offsets, offsets, [b""] * records, [b""] * records, 0, records)


def test_batches_and_records_are_counted_by_topic_and_other_events_are_not():
    monitor, stream = WorkerMonitor(), Stream()
    for event in (batch(3), batch(0), "a record of a topic without batches"):
        monitor.on_stream_event_in(TP("counted", 0), 0, stream, SimpleNamespace(value=event))
    assert value("k2_batches_total", "counted") == 2
    assert value("k2_records_total", "counted") == 3
    assert monitor.events_total == 3  # as Faust counts


def test_the_time_of_a_commit_is_noted_for_its_topics_only():
    before = time.time()
    monitor = WorkerMonitor()
    monitor.on_tp_commit({TP("committed", 0): 5, TP("committed", 1): 7})
    assert before <= value("k2_commit_timestamp_seconds", "committed") <= time.time()
    assert not value("k2_commit_timestamp_seconds", "not committed")
    assert monitor.tp_committed_offsets[TP("committed", 1)] == 7


class Consumer:
    """Two partitions of a topic of which one was never committed, and a changelog."""

    def __init__(self, app):
        self.app = app
        self._committed_offset = {TP("lagging", 0): 40, TP("a-changelog", 0): 5}

    def assignment(self):
        return {TP("lagging", 0), TP("lagging", 1), TP("a-changelog", 0)}

    async def highwaters(self, *tps):
        return dict.fromkeys(tps, 100)

    async def earliest_offsets(self, *tps):
        return dict.fromkeys(tps, 90)


async def test_lag_is_what_is_not_committed_also_where_nothing_was():
    """A sink whose buffers were full had no lag at all: the alert on it went off again."""
    app: Any = SimpleNamespace(started=True, rebalancing=False)
    app.consumer = Consumer(app)
    await _measure_lag(app)
    assert value("k2_consumer_lag", "lagging") == 60 + 10
    assert REGISTRY.get_sample_value("k2_consumer_lag", {"topic": "a-changelog"}) is None
    app.rebalancing = True
    await _measure_lag(app)
    assert value("k2_consumer_lag", "lagging") == 70


async def test_a_worker_without_partitions_has_no_lag(monkeypatch):
    """What it had when others took them over stayed for good: SinkBehind fired, and replicas were added."""
    app: Any = SimpleNamespace(started=True, rebalancing=False)
    app.consumer = Consumer(app)
    await _measure_lag(app)
    assert value("k2_consumer_lag", "lagging") == 70
    monkeypatch.setattr(app.consumer, "assignment", lambda: {TP("a-changelog", 0)})
    await _measure_lag(app)
    assert REGISTRY.get_sample_value("k2_consumer_lag", {"topic": "lagging"}) is None
