"""Reads ClickHouse for the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.delivery.progress import SinkPosition
from k2stream.iceberg.tables import ColdTable
from k2stream.reconcile.audit.compare import Candles, Source
from k2stream.settings import ClickHouseSettings

Bounds = Mapping[Source, tuple[int, int]]
"""The first and the last raw offset to compare, by source."""


class Hot:
    """The tables of the hot tier."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._sink, self._client = ClickHouse(settings), connect(settings)
        self._database = settings.database

    def positions(self, table: ColdTable) -> Mapping[int, SinkPosition]:
        """How far the hot tier's table of the same route is, by partition."""
        return self._sink.positions(replace(table.route, table=table.layer_table.hot))

    def trades(
        self, table: ColdTable, since: datetime, bounds: Bounds, *, by_exchange: bool
    ) -> dict[str, int]:
        """Number of rows by day (and exchange), for trades received since a time and within the bounds."""
        if not bounds:
            return {}
        exchange = "exchange = '{}' AND " if by_exchange else ""
        within = " OR ".join(
            f"({exchange.format(name)}raw_partition = {partition} AND raw_offset BETWEEN {first} AND {last})"
            for (name, partition), (first, last) in bounds.items()
        )
        # Grouped as the cold tier's partitions: bronze by receive day, silver by trade day and exchange.
        group = (
            "concat(toString(toDate(timestamp)), ' ', exchange)"
            if by_exchange
            else "toString(toDate(receive_time))"
        )
        return dict(
            self._client.execute(
                f"""SELECT {group} AS name, count() FROM {self._database}.{table.layer_table.hot} FINAL
                WHERE receive_time >= fromUnixTimestamp64Micro(%(since)s) AND ({within}) GROUP BY name""",
                {"since": int(since.timestamp() * 1_000_000)},
            )
        )

    def candles(self, table: ColdTable, since: datetime) -> Candles:
        """Candles that are open, or closed since a time."""
        names = table.route.schema.names
        rows = self._client.execute(
            f"""SELECT {", ".join(names)} FROM {self._database}.{table.layer_table.hot}_view
            WHERE close_time >= fromUnixTimestamp64Milli(%(since)s)""",
            {"since": int(since.timestamp() * 1000)},
        )
        at = [names.index(name) for name in ("exchange", "canonical_symbol", "open_time")]
        return {tuple(row[index] for index in at): row for row in rows}

    def close(self) -> None:
        """Close the connections."""
        self._sink.close()
        self._client.disconnect()
