"""Settings of the two tiers: where they are, how they are written, how Iceberg's tables are maintained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from k2stream.settings.kinds import Port, Positive, Seconds, Secret, SecretUrl, Section, TimeOfDay
from k2stream.settings.local import LocalSettings, absolute


class ClickHouseSettings(Section, frozen=True, kw_only=True, rename="clickhouse_{}".format):
    """The hot tier's servers and credentials; room in bytes."""

    host: str = "127.0.0.1"
    port: Port = 9000  # of the native protocol; 0 for the client's default
    alt_hosts: str = ""  # host:port,… of the same cluster, tried in turn when the first is unavailable
    cluster: str = ""  # the servers' name of it: replicated tables, and Distributed ones over them
    reserve_bytes: Annotated[int, Meta(ge=0)] = 268_435_456  # no insert with less room on its disk
    database: str = "k2"
    user: str = "default"
    password: Secret = ""
    secure: bool = False


class IcebergSettings(Section, frozen=True, kw_only=True, rename="iceberg_{}".format):
    """The cold tier's catalog and warehouse."""

    catalog_uri: SecretUrl = ""  # empty: SQLite in the data folder
    warehouse: str = ""  # empty: the data folder; s3://… for object stores
    data_dir: str = field(default=LocalSettings().data_dir, name="data_dir")

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return absolute(self.data_dir)


class SinkSettings(Section, frozen=True, kw_only=True):
    """How much is written at once: after so many seconds, or so many rows."""

    flush_seconds: Seconds = field(default=1.0, name="sink_flush_seconds")
    """Of trades into ClickHouse; candles are written about every 0.2 s."""

    max_rows: Positive = field(default=20_000, name="sink_max_rows")
    cold_commit_seconds: Seconds = 900.0
    cold_commit_rows: Positive = 100_000


class MaintenanceSettings(Section, frozen=True, kw_only=True, rename="cold_{}".format):
    """Maintenance of the Iceberg tables, durations in seconds."""

    maintain_at: TimeOfDay = "02:00"  # UTC, daily, in a cold worker; empty: never
    compact_rows: Positive = 2_000_000  # a merged file's rows, about: they are in memory at once
    snapshot_seconds: Seconds = 604_800.0  # older snapshots expire
    orphan_seconds: Seconds = 86_400.0  # unused files so old are removed; no write may take longer
    audit_seconds: Annotated[float, Meta(gt=0, le=172_800)] = 86_400.0  # at most what the topics keep
