"""The rebuilt cold tier: a separate namespace beside the live one, and the swap of both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError
from pyiceberg.table import Table

from k2stream.delivery.anchors import renamed
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import stored
from k2stream.iceberg import owner, tables, writer
from k2stream.iceberg.tables import NAMESPACE, TABLES
from k2stream.model.errors import ConfigError

FRESH = f"{NAMESPACE}_replay"
"""The namespace that a replay writes to."""

_BETWEEN = "_exchanged"

NAMES = {table.layer_table.hot: name for name, table in TABLES.items()}
"""Live Iceberg names by the hot table's name."""


def fresh_name(name: str) -> str:
    """The name of the fresh table for a live one."""
    return f"{FRESH}.{name.partition('.')[2]}"


class FreshTables:
    """The namespaces `cold` and `cold_replay` of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._fresh: dict[str, Table] = {}

    def create(self) -> None:
        """Create the fresh tables, replacing leftover ones, and live tables that are missing.

        Each fresh table has its own folder, because after a swap the live table stays in the folder where it
        was created as a fresh one.
        """
        self.drop()
        for name, table in TABLES.items():
            live = tables.ensure(self.catalog, table)
            folder, _, _ = live.location().rstrip("/").rpartition("/")
            wanted = replace(table, name=fresh_name(name))
            location = f"{folder}/{name.partition('.')[2]}-{uuid4().hex[:8]}"
            self._fresh[table.layer_table.hot] = tables.ensure(self.catalog, wanted, location)

    def write(self, hot: str, rows: pa.Table) -> None:
        """Append rows to the fresh table of a hot table, in one commit."""
        table = self._fresh[hot]
        table.append(tables.rows_for(table, stored(rows)))

    def save(self, positions: Mapping[str, Mapping[SourcePartition, SinkPosition]]) -> None:
        """Commit to each fresh table how far it is in its topic, with a new epoch."""
        for hot, found in positions.items():
            writer.commit_positions(
                self._fresh[hot], {at: renamed(position) for at, position in found.items()}
            )

    def check(self) -> None:
        """Raise ConfigError for fresh rows without positions, as no sink could continue from them."""
        self._mend()
        for name in map(fresh_name, TABLES):
            found = self.catalog.load_table(name) if self.catalog.table_exists(name) else None
            if found is None or (found.current_snapshot() and not writer.carried(found)):
                raise ConfigError(f"Iceberg table {name} has nothing to swap in; see `k2 replay -h`")

    def exchange(self) -> None:
        """Swap the names of live and fresh tables."""
        for live in TABLES:
            fresh = fresh_name(live)
            self.catalog.rename_table(live, fresh + _BETWEEN)
            self.catalog.rename_table(fresh, live)
            self.catalog.rename_table(fresh + _BETWEEN, fresh)

    def drop(self) -> None:
        """Delete the fresh tables, their files and the namespace."""
        self._mend()
        with suppress(NoSuchNamespaceError):
            for name in self.catalog.list_tables(FRESH):
                owner.own(self.catalog, ".".join(name))  # raises for a copied catalog's table
                self.catalog.purge_table(name)
            self.catalog.drop_namespace(FRESH)

    def _mend(self) -> None:
        """Finish or undo a table's swap that a killed run left halfway."""
        for live in TABLES:
            between = fresh_name(live) + _BETWEEN
            if self.catalog.table_exists(between):
                back = fresh_name(live) if self.catalog.table_exists(live) else live
                self.catalog.rename_table(between, back)
