"""cold.maintenance_log: one row per step of each maintenance run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.table import Table
from pyiceberg.transforms import MonthTransform
from sqlalchemy.exc import IntegrityError

from k2stream.iceberg import owner
from k2stream.iceberg.commit import committed
from k2stream.iceberg.tables import NAMESPACE, PROPERTIES, schema_of

NAME = f"{NAMESPACE}.maintenance_log"
ORDER = ("started", "table", "step")

Status = Literal["OK", "MISSING", "ERROR"]


class AuditVerdict(NamedTuple):
    """The result of a table's audit; `rows` is the number of audited rows."""

    status: Status
    rows: int
    detail: str


_COLUMNS = pa.schema(
    [
        pa.field("table", pa.string()),
        pa.field("step", pa.string()),
        pa.field("started", pa.timestamp("us", tz="UTC")),
        pa.field("seconds", pa.float64()),
        pa.field("files_before", pa.int64()),
        pa.field("files_after", pa.int64()),
        pa.field("bytes_before", pa.int64()),
        pa.field("bytes_after", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("status", pa.string()),
        pa.field("detail", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One step: its files and bytes, and the number of rows in the table (of an audit: rows audited).

    MISSING: rows that should exist do not. ERROR: anything else that an operator should look at.
    """

    table: str
    step: str
    started: datetime
    seconds: float
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    rows: int
    status: Status
    detail: str


def ensure(catalog: Catalog) -> Table:
    """The log, created if missing. Raises StateRefused when another catalog owns its location."""
    if catalog.table_exists(NAME):
        found = catalog.load_table(NAME)
        owner.claim(catalog, found, created=False)
        return found
    with suppress(NamespaceAlreadyExistsError, IntegrityError):
        catalog.create_namespace_if_not_exists(NAMESPACE)
    schema = schema_of(_COLUMNS)
    started = schema.find_field("started").field_id
    spec = PartitionSpec(PartitionField(started, 1000, MonthTransform(), "started_month"))
    try:
        found = catalog.create_table(NAME, schema, partition_spec=spec, properties=PROPERTIES)
    except TableAlreadyExistsError:
        found = catalog.load_table(NAME)
    owner.claim(catalog, found, created=True)
    return found


def append(catalog: Catalog, entries: list[Entry]) -> None:
    """Add rows to the log in one commit. Raises Overtaken."""
    rows = pa.Table.from_pylist([asdict(entry) for entry in entries], _COLUMNS)

    def attempt() -> None:
        table = ensure(catalog)
        table.append(rows.cast(table.schema().as_arrow()))

    committed(attempt)
