"""Every setting, in one place: the environment variable is the field's name in capitals after `K2_`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Exchange
from k2stream.model.errors import ConfigError
from k2stream.resources import CONFIG

Positive = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
TimeOfDay = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]

PREFIX = "K2_"


class _Common(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What no exchange has for itself. Durations are seconds, sizes bytes, ports 0 for any free one."""

    # Where things are
    data_dir: str = "k2-data"  # embedded stack: broker, registry, ClickHouse and Iceberg files
    cache_dir: str = "~/.cache/k2stream"  # downloaded jars and AOT caches
    instruments_file: str = str(CONFIG / "instruments.yaml")
    kafka_bootstrap: str = "127.0.0.1:9092"
    registry_url: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    clickhouse_host: str = "127.0.0.1"
    clickhouse_port: Port = 9000
    clickhouse_alt_hosts: str = ""  # host:port,… of the same cluster, tried in turn when the first is away
    clickhouse_cluster: str = ""  # the servers' name of it: replicated tables, and Distributed ones over them
    clickhouse_reserve_bytes: Annotated[int, Meta(ge=0)] = 268_435_456  # no insert with less room on its disk
    clickhouse_database: str = "k2"
    clickhouse_user: str = "default"
    clickhouse_password: str = ""
    clickhouse_secure: bool = False
    iceberg_catalog_uri: str = ""  # empty: SQLite in the data folder
    iceberg_warehouse: str = ""  # empty: the data folder; s3://… for object stores

    # Kafka connection of a real cluster
    kafka_security_protocol: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    kafka_sasl_mechanism: str = ""
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = ""
    kafka_replication: Positive = 1

    # Feeds
    exchanges: str = ""  # which are on, of all processes alike: NAME,NAME,…; empty: those of this package
    exchange: str = ""  # the exchange of an ingest worker
    gap_fill: bool = True  # fetch trades that were missed; for a changed …_WS_URL only beside its …_REST_URL
    gap_fill_margin_seconds: Seconds = 5.0  # REST lags so much; compared around an outage where ids are none
    simulated: bool = False  # the feeds are simulated exchanges: say so wherever a person looks
    silence_seconds: float = 0.0  # no frame for so long: reconnect; 0 takes the exchange's own limit
    reconnect_base_seconds: Seconds = 1.0
    reconnect_cap_seconds: Seconds = 60.0
    max_frame_bytes: Positive = 16_777_216
    metrics_line_seconds: Seconds = 60.0

    # Topics: changing a partition count moves keys and is a migration, see docs/operations/change.md
    normalized_partitions: Positive = 1

    # Candles
    grace_seconds: Seconds = 5.0  # a trade so much older than its symbol's newest may still revise a candle
    idle_seconds: Seconds = 5.0  # a silent symbol's windows are closed by the clock after so long
    candle_emit_seconds: Seconds = 0.2  # revisions are published at most this often per candle
    candle_retention: Positive = 500  # closed windows kept for look-ups, per symbol and timeframe

    # Sinks
    sink_flush_seconds: Seconds = 1.0  # of trades into ClickHouse; candles are written about every 0.2 s
    sink_max_rows: Positive = 20_000
    cold_commit_seconds: Seconds = 900.0
    cold_commit_rows: Positive = 100_000

    # Maintenance of the Iceberg tables
    cold_maintain_at: TimeOfDay = "02:00"  # UTC, daily, in a cold worker; empty: never
    cold_compact_rows: Positive = 2_000_000  # a merged file's rows, about: they are in memory at once
    cold_snapshot_seconds: Seconds = 604_800.0  # older snapshots expire
    cold_orphan_seconds: Seconds = 86_400.0  # unused files so old are removed; no write may take longer
    cold_audit_seconds: Annotated[float, Meta(gt=0, le=172_800)] = 86_400.0  # at most what the topics keep

    # Workers
    web_host: str = "127.0.0.1"  # the name by which other workers reach this one
    web_bind: str = "127.0.0.1"  # the address it listens on
    web_port: Port = 0
    log_level: LogLevel = "info"
    commit_seconds: Seconds = 1.0
    stall_seconds: Seconds = 30.0  # a partition with lag and no progress for so long restarts its worker
    refused_seconds: Annotated[float, Meta(ge=0)] = 0.0  # a worker that refused its state says so first
    broker_heap_mb: Positive = 256  # heap of the embedded Kafka broker

    def ws_url(self, exchange: str) -> str:
        """The WebSocket URL of one exchange, `K2_<EXCHANGE>_WS_URL`."""
        return str(getattr(self, f"{exchange}_ws_url"))

    def rest_url(self, exchange: str) -> str:
        """The REST URL of one exchange; empty for a feed from elsewhere whose REST URL is not told.

        The trades of such a feed are not the exchange's own.
        """
        url = str(getattr(self, f"{exchange}_rest_url"))
        default = type(self)()
        moved = self.ws_url(exchange) != default.ws_url(exchange)
        unknown = moved and url == getattr(default, f"{exchange}_rest_url")
        return "" if unknown else url

    def fills_gaps(self, exchange: str) -> bool:
        """Whether trades that an exchange's feed missed are fetched by themselves."""
        return self.gap_fill and bool(self.rest_url(exchange))

    def raw_partitions(self, exchange: str) -> int:
        """How many partitions the exchange's raw topic has."""
        return int(getattr(self, f"{exchange}_partitions"))

    @property
    def grace_us(self) -> int:
        """`grace_seconds` in µs: what trades, windows and checks are held to."""
        return _micros(self.grace_seconds)

    @property
    def idle_us(self) -> int:
        """`idle_seconds` in µs."""
        return _micros(self.idle_seconds)

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data_dir).expanduser().absolute()


_OF_EXCHANGE: tuple[tuple[str, Any, Callable[[Exchange], Any]], ...] = (
    ("ws_url", str, attrgetter("ws_url")),
    ("rest_url", str, attrgetter("rest_url")),  # where trades that were missed are fetched
    ("partitions", Positive, lambda exchange: 1),  # of the raw topic
)
"""What each exchange has for itself, as `<exchange>_<name>`: kind and default."""

if TYPE_CHECKING:
    Settings = _Common
else:
    Settings = msgspec.defstruct(
        "Settings",
        [
            (f"{name}_{suffix}", kind, default(exchange))
            for suffix, kind, default in _OF_EXCHANGE
            for name, exchange in REGISTRY.items()
        ],
        bases=(_Common,),
        module=__name__,
        frozen=True,
        kw_only=True,
        omit_defaults=True,
    )


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `K2_*` variables.

    Raises ConfigError naming the variable: a value of the wrong type or range, or a name that does not exist.
    """
    environ = os.environ if environ is None else environ
    given = {key: value for key, value in environ.items() if key.startswith(PREFIX)}
    fields = {PREFIX + name.upper(): name for name in Settings.__struct_fields__}
    for key in given:
        if key not in fields:
            raise ConfigError(
                f"{key} is not a setting of K2 stream: unset it; `k2 settings` lists all that are"
            )
    settings = Settings()
    for key, value in given.items():
        try:
            converted = msgspec.convert({fields[key]: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            reason = str(error).split(" - at ")[0]
            raise ConfigError(f"{key}={value!r}: {reason}") from None
        settings = msgspec.structs.replace(settings, **{fields[key]: getattr(converted, fields[key])})
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """The `K2_*` variables that give a child process these settings (only what differs from the defaults)."""
    changed = {
        name: value
        for name, value in msgspec.structs.asdict(settings).items()
        if value != getattr(Settings(), name)
    }
    return {
        PREFIX + name.upper(): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in changed.items()
    }


@cache
def get() -> Settings:
    """The settings of this process, read once."""
    return load()
