"""Settings of the two tiers: their addresses, how the sinks write, and the maintenance of Iceberg tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from k2stream.settings.kinds import Port, Positive, Seconds, Secret, SecretUrl, Section, TimeOfDay
from k2stream.settings.local import LocalSettings, absolute


class ClickHouseSettings(Section, frozen=True, kw_only=True, rename="clickhouse_{}".format):
    """Servers and credentials of the hot tier."""

    host: str = "127.0.0.1"
    port: Port = 9000  # native protocol; 0: the client's default
    alt_hosts: str = ""  # host:port,… of the same cluster, tried in turn when the first is unavailable
    cluster: str = ""  # its name on the servers; makes tables replicated, with Distributed tables over them
    reserve_bytes: Annotated[int, Meta(ge=0)] = 268_435_456  # no insert with less free disk space
    database: str = "k2"
    user: str = "default"
    password: Secret = ""
    secure: bool = False


class IcebergSettings(Section, frozen=True, kw_only=True, rename="iceberg_{}".format):
    """Catalog and warehouse of the cold tier."""

    catalog_uri: SecretUrl = ""  # empty: a SQLite file in the data folder
    warehouse: str = ""  # s3://… for object stores; empty: the data folder
    data_dir: str = field(default=LocalSettings().data_dir, name="data_dir")

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return absolute(self.data_dir)


class SinkSettings(Section, frozen=True, kw_only=True):
    """When the sinks write: after this many seconds or this many rows, whichever comes first."""

    flush_seconds: Seconds = field(default=1.0, name="sink_flush_seconds")
    """For trades in ClickHouse; candles are written as often as they are published."""

    max_rows: Positive = field(default=20_000, name="sink_max_rows")
    cold_commit_seconds: Seconds = 900.0
    cold_commit_rows: Positive = 100_000


class MaintenanceSettings(Section, frozen=True, kw_only=True, rename="cold_{}".format):
    """Maintenance of the Iceberg tables; durations in seconds."""

    maintain_at: TimeOfDay = "02:00"  # daily at this time (UTC), in a cold worker; empty: never
    compact_rows: Positive = 2_000_000  # approximate rows of a merged file, all in memory at once
    snapshot_seconds: Seconds = 604_800.0  # snapshots older than this expire
    orphan_seconds: Seconds = 86_400.0  # unused files older than this are removed; no write may take longer
    audit_seconds: Annotated[float, Meta(gt=0, le=172_800)] = 86_400.0  # at most the topics' retention
