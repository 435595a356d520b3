"""All settings, in sections; the environment variable of a setting is `K2_` and its public name in capitals.

A package takes the sections that it needs. Durations are set as `…_seconds`, from which `…_us` and `…_ms` are
derived. Sizes are set as `…_bytes`.
"""

from k2stream.settings.agreement import AgreementSettings
from k2stream.settings.candles import CandleSettings
from k2stream.settings.feeds import FeedSettings
from k2stream.settings.kafka import KafkaSettings
from k2stream.settings.local import LocalSettings
from k2stream.settings.process import current, environment, listing, load
from k2stream.settings.registry import RegistryAddress
from k2stream.settings.sections import Settings
from k2stream.settings.service import ServiceSettings
from k2stream.settings.stores import ClickHouseSettings, IcebergSettings, MaintenanceSettings, SinkSettings
from k2stream.settings.trace import TraceSettings
from k2stream.settings.variables import make, replace, value_of, with_secret_files
from k2stream.settings.worker import WorkerSettings

__all__ = [
    "AgreementSettings",
    "CandleSettings",
    "ClickHouseSettings",
    "FeedSettings",
    "IcebergSettings",
    "KafkaSettings",
    "LocalSettings",
    "MaintenanceSettings",
    "RegistryAddress",
    "ServiceSettings",
    "Settings",
    "SinkSettings",
    "TraceSettings",
    "WorkerSettings",
    "current",
    "environment",
    "get",
    "listing",
    "load",
    "make",
    "replace",
    "value_of",
    "with_secret_files",
]
