"""Moves a sink's position while the sink is not running."""

from __future__ import annotations

from dataclasses import replace

from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.anchors import renamed
from k2stream.delivery.progress import SourcePartition
from k2stream.iceberg import owner, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.layers.routes import ROUTES
from k2stream.layers.table import LayerTable
from k2stream.settings import ClickHouseSettings, IcebergSettings, Settings


def go_back(settings: Settings, table: LayerTable, at: SourcePartition, first: int, *, hot: bool) -> None:
    """Make a tier's table be read again from an offset on, with a new epoch; its rows and marks stay.

    Raises StateRefused when another catalog owns the Iceberg table's location.
    """
    if hot:
        _hot(settings.clickhouse, table, at, first)
    else:
        _cold(settings.iceberg, table, at, first)


def _hot(settings: ClickHouseSettings, table: LayerTable, at: SourcePartition, first: int) -> None:
    destination = ClickHouse(settings)
    durable = destination.positions(ROUTES[table.hot])[at.partition]
    destination.open({(table.hot, at): renamed(replace(durable, offset=first - 1, source=""))})
    destination.close()


def _cold(settings: IcebergSettings, table: LayerTable, at: SourcePartition, first: int) -> None:
    def note() -> None:
        found = owner.own(open_catalog(settings), table.cold)
        durable = writer.positions(found)
        writer.commit_positions(
            found, {**durable, at: renamed(replace(durable[at], offset=first - 1, source=""))}
        )

    committed(note)
