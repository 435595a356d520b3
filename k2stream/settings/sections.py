"""All settings of a process."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from k2stream.settings.agreement import AgreementSettings
from k2stream.settings.candles import CandleSettings
from k2stream.settings.feeds import FeedSettings
from k2stream.settings.kafka import KafkaSettings
from k2stream.settings.local import LocalSettings
from k2stream.settings.service import ServiceSettings
from k2stream.settings.stores import ClickHouseSettings, IcebergSettings, MaintenanceSettings, SinkSettings
from k2stream.settings.trace import TraceSettings
from k2stream.settings.worker import WorkerSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, in sections."""

    local: LocalSettings = LocalSettings()
    kafka: KafkaSettings = msgspec.field(default_factory=KafkaSettings)
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    iceberg: IcebergSettings = IcebergSettings()
    feeds: FeedSettings = msgspec.field(default_factory=FeedSettings)
    candles: CandleSettings = CandleSettings()
    sinks: SinkSettings = SinkSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    agreement: AgreementSettings = AgreementSettings()
    worker: WorkerSettings = WorkerSettings()
    service: ServiceSettings = ServiceSettings()
    trace: TraceSettings = TraceSettings()
    secret_files: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Absolute paths of the files that secrets were read from, by the secrets' public names."""
