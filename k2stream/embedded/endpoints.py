"""Addresses of the parts of a running stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k2stream.embedded.ports import HOST


@dataclass(frozen=True)
class Endpoints:
    """Addresses of one embedded stack; everything is bound to 127.0.0.1."""

    kafka_port: int
    registry_port: int
    clickhouse_port: int  # native protocol
    clickhouse_http_port: int
    data_dir: Path
    secure: bool = False  # TLS and passwords, from the data folder's guard

    @property
    def bootstrap(self) -> str:
        """The broker as `host:port`."""
        return f"{HOST}:{self.kafka_port}"

    @property
    def registry_url(self) -> str:
        """Base URL of the Confluent-compatible API."""
        return f"{'https' if self.secure else 'http'}://{HOST}:{self.registry_port}/apis/ccompat/v7"

    @property
    def clickhouse_host(self) -> str:
        """Host of both ClickHouse ports."""
        return HOST
