"""The sink of the hot tier."""

from __future__ import annotations

from functools import cache

from k2stream import settings as settings_module
from k2stream.app import create_app
from k2stream.sinks.base import Policy
from k2stream.sinks.clickhouse import ClickHouse
from k2stream.sinks.worker import SinkWorker

MAX_BYTES = 64 << 20
FETCH_BYTES, FETCH_WAIT_MS = 1 << 20, 50
URGENT_SECONDS = 0.15  # of candles: several tables share the time, and each insert costs about 10 ms


@cache
def sink() -> SinkWorker:
    """The one of this process: all layers share a connection, and their positions a write."""
    settings = settings_module.get()
    app = create_app("hot")
    # The broker gathers what is written together: a delivery for every few trades would cost far more.
    app.fetch_min_bytes, app.fetch_max_wait_ms = FETCH_BYTES, FETCH_WAIT_MS
    policy = Policy(
        flush_seconds=settings.sink_flush_seconds,
        max_rows=settings.sink_max_rows,
        max_bytes=MAX_BYTES,
        save_seconds=settings.commit_seconds,
        urgent_seconds=URGENT_SECONDS,
    )
    return SinkWorker(app, settings, ClickHouse(settings), policy)
