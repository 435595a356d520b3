"""Settings of a worker process."""

from __future__ import annotations

from typing import Any

from k2stream.logs import LogFormat
from k2stream.settings.kinds import LogLevel, Port, Seconds, SecondsOrZero, Secret, Section, bearer
from k2stream.settings.tls import Tls, client_context


class WorkerSettings(Section, frozen=True, kw_only=True):
    """Exchange, web server, log level, commit interval and time limits of a worker; durations in seconds."""

    exchange: str = ""  # for an ingest worker
    web_host: str = "127.0.0.1"  # host name at which other workers reach this one
    web_bind: str = "127.0.0.1"  # address to listen on
    web_port: Port = 0  # 0: any free port
    web_key: Secret = ""  # shared by all workers and commands; without it, anyone may ask a worker
    web_tls_cert_file: str = ""  # makes workers listen with TLS, with this certificate and its key
    web_tls_key_file: str = ""
    web_tls_ca_file: str = ""  # for whoever asks workers; empty: the system's CAs
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"  # plain on a terminal, else JSON: one object per line
    commit_seconds: Seconds = 1.0
    stall_seconds: Seconds = 30.0  # the worker restarts when a partition with lag stands still for this long
    refused_seconds: SecondsOrZero = 0.0  # after a refusal, show the reason this long

    @property
    def web_tls(self) -> Tls:
        """The files of TLS between workers."""
        return Tls(self.web_tls_ca_file, self.web_tls_cert_file, self.web_tls_key_file)

    @property
    def web_scheme(self) -> str:
        """The scheme of the workers' URLs."""
        return "https" if self.web_tls_cert_file else "http"

    @property
    def web_connection(self) -> dict[str, Any]:
        """Keyword arguments of httpx's clients that ask workers."""
        return {"headers": bearer(self.web_key), "verify": client_context(Tls(self.web_tls_ca_file))}
