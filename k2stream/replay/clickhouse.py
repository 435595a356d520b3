"""The rebuilt hot tier: a separate database beside the live one, and the swap of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa

from k2stream.clickhouse.destination import POSITIONS, ClickHouse, connect
from k2stream.clickhouse.migrate import migrate
from k2stream.delivery.anchors import renamed
from k2stream.delivery.buffer import Acknowledge
from k2stream.delivery.progress import Piece, SinkBatch, SinkPosition, SourcePartition
from k2stream.layers.routes import REPORTS, ROUTES
from k2stream.model.errors import ConfigError
from k2stream.settings import ClickHouseSettings


def fresh_database(settings: ClickHouseSettings) -> str:
    """The name of the database that a replay writes to."""
    return f"{settings.database}_replay"


class HotRebuild:
    """The databases `live` and `fresh`. Raises ConfigError for a cluster, which cannot be swapped."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        if settings.cluster:
            raise ConfigError(
                "K2_CLICKHOUSE_CLUSTER is set, and `k2 replay` works with one ClickHouse server only: fill "
                "the tables of a cluster with `k2 refill TABLE --all`"
            )
        self.live, self.fresh = settings.database, fresh_database(settings)
        self.client = connect(settings)
        self._settings = settings
        self._sink = ClickHouse(msgspec.structs.replace(settings, database=self.fresh))
        self._written = 0

    def create(self) -> None:
        """Create the fresh database, replacing a leftover one, and live tables that are missing."""
        migrate(self.client, self._settings)
        self.drop()
        self._sink.prepare([])

    def write(self, table: str, rows: pa.Table) -> None:
        """Insert rows into a fresh table."""
        route = ROUTES[table]
        where = SourcePartition(f"replay of {route.topic}", 0)
        first, self._written = self._written, self._written + len(rows)
        piece: Piece[Any, Acknowledge] = Piece(
            where, first, self._written - 1, {}, rows, len(rows), _acknowledge
        )
        self._sink.write(route, SinkBatch((piece,)))

    def save(self, positions: Mapping[str, Mapping[SourcePartition, SinkPosition]]) -> None:
        """Store how far each fresh table is in its topic, with a new epoch each."""
        self._sink.open(
            {
                (table, at): renamed(position)
                for table, found in positions.items()
                for at, position in found.items()
            }
        )

    def check(self) -> None:
        """Raise ConfigError for fresh tables without positions, as no sink could continue from them."""
        query = "SELECT count() FROM system.tables WHERE database = %(database)s AND name = %(table)s"
        ((found,),) = self.client.execute(query, {"database": self.fresh, "table": POSITIONS})
        if found:
            ((found,),) = self.client.execute(f"SELECT count() FROM {self.fresh}.{POSITIONS}")
        if not found:
            raise ConfigError(f"ClickHouse database {self.fresh} has nothing to swap in; see `k2 replay -h`")

    def exchange(self) -> None:
        """Swap each live table with the fresh one, atomically per table; views refer to tables by name.

        Tables that are not swapped keep their positions.
        """
        held, kept = f"{self.live}.{POSITIONS}", ", ".join(f"'{table}'" for table in REPORTS)
        self.client.execute(
            f"INSERT INTO {self.fresh}.{POSITIONS} SELECT * FROM {held} WHERE table IN ({kept})"
        )
        for table in (*ROUTES, POSITIONS):
            self.client.execute(f"EXCHANGE TABLES {self.live}.{table} AND {self.fresh}.{table}")

    def drop(self) -> None:
        """Drop the fresh database."""
        self.client.execute(f"DROP DATABASE IF EXISTS {self.fresh}")

    def close(self) -> None:
        """Close the connections."""
        self._sink.close()
        self.client.disconnect()


async def _acknowledge() -> None:
    """Does nothing: a replay has no records to acknowledge."""
