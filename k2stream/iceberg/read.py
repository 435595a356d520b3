"""Reads tables of the cold tier by name, filter and columns."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.parser import parse
from pyiceberg.table import ALWAYS_TRUE
from pyiceberg.table import Table as Table  # for annotations in other packages
from pyparsing import ParseException

from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.iceberg import writer
from k2stream.iceberg.catalog import Catalog, open_catalog
from k2stream.model.errors import ConfigError
from k2stream.settings import IcebergSettings

ALL_COLUMNS = ("*",)


def find(catalog: Catalog, name: str) -> Table | None:
    """A table at its newest snapshot; None while no cold worker has created it."""
    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def existing(settings: IcebergSettings, name: str) -> Table | None:
    """As `find` in the settings' catalog, which is not created if it does not exist."""
    embedded = settings.data_path / "iceberg" / "catalog.db"
    if not settings.catalog_uri and not embedded.exists():
        return None
    return find(open_catalog(settings), name)


def scan(table: Table, where: str, columns: tuple[str, ...] = ALL_COLUMNS) -> pa.Table:
    """The rows that an Iceberg filter matches (`raw_partition == 0 and raw_offset < 9`)."""
    return table.scan(row_filter=where, selected_fields=columns).to_arrow()


def end(table: Table | None, topic: str, partition: int) -> int:
    """The offset after a table's last one of a topic partition; 0 without rows or without a table."""
    if table is None:
        return 0
    return writer.positions(table).get(SourcePartition(topic, partition), SinkPosition()).offset + 1


def filter_of(name: str, where: str) -> BooleanExpression:
    """Parse a filter that a user wrote for a table. Raises ConfigError when it is invalid."""
    try:
        return parse(where) if where else ALWAYS_TRUE
    except (ParseException, ValueError) as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from None


def page(
    catalog: Catalog, name: str, where: BooleanExpression, columns: tuple[str, ...], limit: int
) -> pa.Table:
    """At most `limit` rows for a user. Raises ConfigError for an unknown table or column."""
    table = find(catalog, name)
    if table is None:
        raise ConfigError(f"{name} does not exist yet: a cold worker creates it")
    try:
        return table.scan(row_filter=where, selected_fields=columns, limit=limit).to_arrow()
    except ValueError as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from None
