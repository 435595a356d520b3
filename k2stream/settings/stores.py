"""Settings of the two tiers: their addresses, how the sinks write, and the maintenance of Iceberg tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, field

from k2stream.settings.kinds import HttpUrl, Port, Positive, Seconds, Secret, SecretUrl, Section, TimeOfDay
from k2stream.settings.local import LocalSettings, absolute
from k2stream.settings.tls import Tls


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
    secure: bool = False  # TLS
    tls_ca_file: str = ""  # empty: the CAs that the client brings
    tls_cert_file: str = ""  # our own certificate, for servers that ask for one, and its key
    tls_key_file: str = ""

    @property
    def tls(self) -> Tls:
        """The files of TLS to the servers."""
        return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)

    @property
    def connection(self) -> dict[str, Any]:
        """Keyword arguments of all of clickhouse-driver's clients: where, who, and how."""
        return {
            "host": self.host,
            "port": self.port or None,
            "alt_hosts": self.alt_hosts or None,
            "user": self.user,
            "password": self.password,
            "secure": self.secure,
            "ca_certs": self.tls_ca_file or None,
            "certfile": self.tls_cert_file or None,
            "keyfile": self.tls_key_file or None,
        }


class IcebergSettings(Section, frozen=True, kw_only=True, rename="iceberg_{}".format):
    """Catalog and warehouse of the cold tier."""

    catalog_uri: SecretUrl = ""  # empty: a SQLite file in the data folder
    token: Secret = ""  # a bearer token for a REST catalog
    credential: Secret = ""  # or CLIENT:SECRET, with which the catalog's OAuth server gives one
    warehouse: str = ""  # s3://… for object stores; empty: the data folder
    s3_endpoint: HttpUrl = ""  # empty: AWS
    s3_region: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: Secret = ""
    tls_ca_file: str = ""  # of a REST catalog and the object store; empty: the system's CAs
    tls_cert_file: str = ""  # our own certificate, for a REST catalog that asks for one, and its key
    tls_key_file: str = ""
    data_dir: str = field(default=LocalSettings().data_dir, name="data_dir")

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return absolute(self.data_dir)

    @property
    def tls(self) -> Tls:
        """The files of TLS to a REST catalog and the object store."""
        return Tls(self.tls_ca_file, self.tls_cert_file, self.tls_key_file)

    @property
    def access(self) -> dict[str, Any]:
        """Properties of pyiceberg's catalogs: who asks, and how; others are in its own configuration."""
        texts = {
            "token": self.token,
            "credential": self.credential,
            "s3.endpoint": self.s3_endpoint,
            "s3.region": self.s3_region,
            "s3.access-key-id": self.s3_access_key_id,
            "s3.secret-access-key": self.s3_secret_access_key,
            S3_CA_FILE: self.tls_ca_file,
            "py-io-impl": _FILES if self.tls_ca_file else "",
        }
        found: dict[str, Any] = {name: text for name, text in texts.items() if text}
        if any(self.tls):
            client = {"cert": self.tls_cert_file, "key": self.tls_key_file}
            files = {"cabundle": self.tls_ca_file, "client": client if self.tls_cert_file else None}
            found["ssl"] = {name: value for name, value in files.items() if value}
        return found


S3_CA_FILE = "k2.s3.tls-ca-file"
_FILES = "k2stream.iceberg.files.TrustingFiles"
"""pyiceberg has no property for the CA of an object store."""


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
    snapshot_seconds: Seconds = 604_800.0  # snapshots replaced longer ago than this expire
    orphan_seconds: Seconds = 86_400.0  # unused files older than this are removed; no write may take longer
    audit_seconds: Annotated[float, Meta(gt=0, le=172_800)] = 86_400.0  # at most the topics' retention
