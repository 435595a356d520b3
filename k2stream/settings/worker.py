"""Settings of a worker process."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from k2stream.logs import LogFormat
from k2stream.settings.kinds import LogLevel, Port, Seconds, Section


class WorkerSettings(Section, frozen=True, kw_only=True):
    """Exchange, web server, log level, commit interval and time limits of a worker; durations in seconds."""

    exchange: str = ""  # for an ingest worker
    web_host: str = "127.0.0.1"  # host name at which other workers reach this one
    web_bind: str = "127.0.0.1"  # address to listen on
    web_port: Port = 0  # 0: any free port
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"  # plain on a terminal, else JSON: one object per line
    commit_seconds: Seconds = 1.0
    stall_seconds: Seconds = 30.0  # the worker restarts when a partition with lag stands still for this long
    refused_seconds: Annotated[float, Meta(ge=0)] = 0.0  # after a refusal, show the reason this long
