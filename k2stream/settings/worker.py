"""Settings of a worker process."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from k2stream.settings.kinds import LogLevel, Port, Seconds, Section


class WorkerSettings(Section, frozen=True, kw_only=True):
    """Its exchange, its web server, its log, when it commits and when it gives up; durations in seconds."""

    exchange: str = ""  # of an ingest worker
    web_host: str = "127.0.0.1"  # the name by which other workers reach this one
    web_bind: str = "127.0.0.1"  # the address it listens on
    web_port: Port = 0  # 0 for any free one
    log_level: LogLevel = "info"
    commit_seconds: Seconds = 1.0
    stall_seconds: Seconds = 30.0  # a partition with lag and no progress for so long restarts its worker
    refused_seconds: Annotated[float, Meta(ge=0)] = 0.0  # a worker that refused its state says so first
