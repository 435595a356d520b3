"""Every setting, in sections; a public name in capitals after `K2_` is its environment variable.

A room takes the section it needs. Durations are set in `…_seconds`; what is in `…_us` and `…_ms` is derived
from them. Sizes in `…_bytes` are bytes.
"""

from k2stream.settings.candles import CandleSettings
from k2stream.settings.feeds import FeedSettings
from k2stream.settings.kafka import KafkaSettings
from k2stream.settings.local import LocalSettings
from k2stream.settings.process import environment, get, listing, load
from k2stream.settings.sections import Settings
from k2stream.settings.stores import ClickHouseSettings, IcebergSettings, MaintenanceSettings, SinkSettings
from k2stream.settings.variables import make, replace, value_of
from k2stream.settings.worker import WorkerSettings

__all__ = [
    "CandleSettings",
    "ClickHouseSettings",
    "FeedSettings",
    "IcebergSettings",
    "KafkaSettings",
    "LocalSettings",
    "MaintenanceSettings",
    "Settings",
    "SinkSettings",
    "WorkerSettings",
    "environment",
    "get",
    "listing",
    "load",
    "make",
    "replace",
    "value_of",
]
