"""The two tiers that a replay rebuilds."""

from typing import NamedTuple, Self

from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.fresh import FreshTables
from k2stream.replay.clickhouse import HotRebuild
from k2stream.settings import Settings


class Tiers(NamedTuple):
    """The fresh tables beside the live ones, in both tiers."""

    hot: HotRebuild
    cold: FreshTables

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The tiers of a platform. Raises ConfigError for a ClickHouse cluster."""
        return cls(HotRebuild(settings.clickhouse), FreshTables(open_catalog(settings.iceberg)))
