"""The sink of the hot tier."""

from __future__ import annotations

from functools import cache

from k2stream import settings as settings_module
from k2stream.app import create_app
from k2stream.sinks.base import Policy
from k2stream.sinks.clickhouse import ClickHouse
from k2stream.sinks.worker import SinkWorker

MAX_BYTES = 64 << 20


@cache
def sink() -> SinkWorker:
    """The one of this process: all layers share a connection, and their positions a write."""
    settings = settings_module.get()
    policy = Policy(
        flush_seconds=settings.sink_flush_seconds,
        max_rows=settings.sink_max_rows,
        max_bytes=MAX_BYTES,
        save_seconds=settings.commit_seconds,
    )
    return SinkWorker(create_app("hot"), settings, ClickHouse(settings), policy)
