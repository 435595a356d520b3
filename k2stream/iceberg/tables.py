"""The tables of the cold tier: the columns of the hot ones (layers/schema.py), partitioned, zstd.

Commits follow the order of the topics; compaction (maintenance/compact.py) sorts by a table's `order`. Gold
has, for each commit, the highest revision of each candle in it: readers take the highest of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform, MonthTransform, Transform
from pyiceberg.types import (
    BooleanType,
    DecimalType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)
from sqlalchemy.exc import IntegrityError

from k2stream.delivery.route import Route
from k2stream.exchanges import REGISTRY
from k2stream.iceberg import owner
from k2stream.iceberg.commit import committed
from k2stream.layers import bronze, gold, silver
from k2stream.layers.table import COLD_NAMESPACE, LayerTable
from k2stream.layers.table import TABLES as LAYER_TABLES
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role

NAMESPACE = COLD_NAMESPACE

PROPERTIES = {
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(128 << 20),
    "write.delete.isolation-level": "snapshot",  # so that compaction can run beside appends
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    "commit.retry.num-retries": "0",  # a blind retry would append offsets that another writer has committed
}

RENAMED = {old: new for exchange in REGISTRY.values() for old, new in exchange.native.renamed.items()}
"""Columns whose names differ from the hot tier's."""

_FIRST_PARTITION_ID = 1000
_TYPES: dict[pa.DataType, IcebergType] = {
    pa.int32(): IntegerType(),
    pa.int64(): LongType(),
    pa.float64(): DoubleType(),
    pa.bool_(): BooleanType(),
    pa.string(): StringType(),
}


@dataclass(frozen=True, slots=True)
class ColdTable:
    """A table: its layer, route, (column, transform) per partition field, sort columns, and identifier."""

    layer_table: LayerTable
    route: Route
    partitions: tuple[tuple[str, Transform], ...]  # type: ignore[type-arg]
    order: tuple[str, ...]
    name: str


_POSITION = ("raw_partition", "raw_offset")


def _cold(
    route: Route,
    order: tuple[str, ...],
    *partitions: tuple[str, Transform],  # type: ignore[type-arg]
) -> ColdTable:
    layer_table = LAYER_TABLES[route.table]
    cold = replace(route, table=layer_table.cold, latency="", tier=Role.COLD)
    return ColdTable(layer_table, cold, partitions, order, layer_table.cold)


TABLES = {
    made.name: made
    for made in (
        *(
            _cold(route, (exchange.native.symbol, *_POSITION), ("receive_time", DayTransform()))
            for exchange, route in zip(REGISTRY.values(), bronze.ROUTES, strict=True)
        ),
        _cold(
            silver.ROUTE,
            ("canonical_symbol", "timestamp", *_POSITION),
            ("timestamp", DayTransform()),
            ("exchange", IdentityTransform()),
        ),
        *(
            _cold(route, (*gold.IDENTITY, "revision"), ("open_time", MonthTransform()))
            for route in gold.ROUTES
        ),
    )
}


def schema_of(columns: pa.Schema) -> Schema:
    """The Iceberg schema for an Arrow schema; every column is optional."""
    ids = count(1)
    names = [RENAMED.get(field.name, field.name) for field in columns]
    numbers = [next(ids) for _ in names]
    return Schema(
        *(
            NestedField(number, name, _type(field.type, ids), required=False)
            for number, name, field in zip(numbers, names, columns, strict=True)
        )
    )


def _type(kind: pa.DataType, ids: count[int]) -> IcebergType:
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type, ids)
    if pa.types.is_timestamp(kind):
        return TimestamptzType()
    if pa.types.is_decimal(kind):
        return DecimalType(kind.precision, kind.scale)
    if pa.types.is_map(kind):
        key, value = next(ids), next(ids)
        return MapType(
            key, _type(kind.key_type, ids), value, _type(kind.item_type, ids), value_required=False
        )
    if pa.types.is_list(kind):
        return ListType(next(ids), _type(kind.value_type, ids), element_required=False)
    return _TYPES[kind]


def ensure(catalog: Catalog, table: ColdTable, location: str | None = None) -> Table:
    """The table with all columns of this release, created (at `location`) if it is missing.

    New columns are added at the end, and are null in older rows. Safe when several workers do it at once.
    Raises ConfigError when the table has other columns, StateRefused when another catalog owns its location.
    """
    with suppress(NamespaceAlreadyExistsError, IntegrityError):  # another worker was faster
        catalog.create_namespace_if_not_exists(table.name.partition(".")[0])
    wanted = schema_of(table.route.schema)
    created = not catalog.table_exists(table.name)
    found = _create(catalog, table, wanted, location) if created else catalog.load_table(table.name)
    owner.claim(catalog, found, created=created)
    names = [field.name for field in wanted.fields]
    existing = [field.name for field in found.schema().fields]
    shared = min(len(existing), len(names))  # a later release may have added more
    if existing[:shared] != names[:shared]:
        raise ConfigError(
            f"{table.name} has the columns {', '.join(existing)}, this release {', '.join(names)}: "
            "use the release that wrote it"
        )
    return found if len(existing) >= len(names) else committed(partial(_evolve, catalog, table.name, wanted))


def ensure_all(catalog: Catalog) -> Iterator[str]:
    """Ensure every table; yields one line per table created or column added."""
    for name, table in TABLES.items():
        existing = set(catalog.load_table(name).schema().column_names) if catalog.table_exists(name) else None
        columns = ensure(catalog, table).schema().column_names
        if existing is None:
            yield f"created {name}"
        else:
            yield from (f"added {name}.{column}" for column in columns if column not in existing)


def _evolve(catalog: Catalog, name: str, wanted: Schema) -> Table:
    found = catalog.load_table(name)
    with found.update_schema() as update:
        update.union_by_name(wanted)
    return found


def _create(catalog: Catalog, table: ColdTable, schema: Schema, location: str | None) -> Table:
    spec = PartitionSpec(
        *(
            PartitionField(
                schema.find_field(column).field_id, number, transform, _partition_name(column, transform)
            )
            for number, (column, transform) in enumerate(table.partitions, _FIRST_PARTITION_ID)
        )
    )
    order = SortOrder(
        *(SortField(schema.find_field(name).field_id, IdentityTransform()) for name in table.order)
    )
    try:
        return catalog.create_table(
            table.name, schema, location, partition_spec=spec, sort_order=order, properties=PROPERTIES
        )
    except TableAlreadyExistsError:
        return catalog.load_table(table.name)


def _partition_name(column: str, transform: Transform) -> str:  # type: ignore[type-arg]
    return column if isinstance(transform, IdentityTransform) else f"{column}_{transform}"


def rows_for(table: Table, rows: pa.Table) -> pa.Table:
    """Rows of a route in the table's own Arrow schema; columns that a later release added are null."""
    schema = table.schema().as_arrow()
    rows = rows.rename_columns([RENAMED.get(name, name) for name in rows.column_names])
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.name, pa.nulls(len(rows), field.type))
    return rows.cast(schema)
