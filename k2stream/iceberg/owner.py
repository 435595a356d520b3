"""Ownership of a table's location: only the catalog named there may write and clean it.

A copied data folder, or a second host with its own catalog, has tables in a location that another catalog
writes to: its maintenance would delete the other's files as orphans. A file beside the location therefore
names its catalog and table. Any other catalog leaves the location alone, until an operator declares it the
new owner (`k2 cold adopt`); from then on, the previous owner stops.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchNamespaceError
from pyiceberg.table import Table
from sqlalchemy.exc import IntegrityError

from k2stream.iceberg.catalog import sqlite_path
from k2stream.model import clock
from k2stream.model.errors import StateRefused

logger = logging.getLogger(__name__)

MARKER = ".k2-owner.json"
"""Beside the table's folder, not in it: files in the folder are listed by others."""

_SQLITE = "sqlite "
NAMESPACE, PROPERTY = "k2_catalog", "k2.catalog"
ATTEMPTS, PAUSE_SECONDS = 20, 0.05


class Claim(msgspec.Struct, frozen=True):
    """The owner of a location, and since when (ms since 1970): older files may be of others.

    `taken`: it was taken over, and the previous owner may still read the files it had.
    """

    catalog: str
    table: str
    since: int
    taken: bool = False


def identity(catalog: Catalog) -> str:
    """Identifies a catalog: by the path of a SQLite file, else by an id stored in the catalog.

    The id is a property of a namespace, because a catalog keeps only one of several created at once.
    """
    uri = catalog.properties.get("uri", "")
    if uri.startswith("sqlite"):
        return _SQLITE + str(sqlite_path(uri).resolve())
    with suppress(NoSuchNamespaceError):
        return f"catalog {catalog.load_namespace_properties(NAMESPACE)[PROPERTY]}"
    with suppress(NamespaceAlreadyExistsError, IntegrityError):  # another worker was faster
        catalog.create_namespace(NAMESPACE, {PROPERTY: uuid4().hex})
    return f"catalog {catalog.load_namespace_properties(NAMESPACE)[PROPERTY]}"


def own(catalog: Catalog, name: str) -> Table:
    """Load a table to write or clean it. Raises StateRefused when another catalog owns its location."""
    table = catalog.load_table(name)
    claim(catalog, table, created=False)
    return table


def claim(catalog: Catalog, table: Table, *, created: bool) -> Claim:
    """The claim on a table's location, written if missing: for a new table, or one of an earlier release.

    Raises StateRefused when another catalog owns it, or when it is outside this catalog's warehouse.
    """
    mine, found = _claim(catalog, table), read(table)
    # The claim of a dropped table of this catalog.
    replaced = found is not None and found.catalog == mine.catalog and found.table != mine.table
    if found is None or replaced:
        if not (created or replaced or _inside(catalog, table)):
            raise StateRefused(f"{_where(table)} is not in this catalog's warehouse: {_ADOPT}")
        with suppress(FileExistsError):  # another worker was faster
            _write(table, mine, overwrite=replaced)
        if not (created or replaced):
            logger.warning("%s: adopted from an earlier release", _where(table))
        found = read(table) or mine
    if not _same(found, mine):
        raise StateRefused(f"{_where(table)} is of {found.catalog}, table {found.table}: {_ADOPT}")
    return found


def others(catalog: Catalog) -> list[tuple[Table, Claim | None]]:
    """Tables whose location another catalog owns, or nobody; each with the claim found there."""
    names = [name for namespace in catalog.list_namespaces() for name in catalog.list_tables(namespace)]
    found = [(table, _read_any(table)) for table in map(catalog.load_table, names)]
    return [(table, claim) for table, claim in found if not _same(claim, _claim(catalog, table))]


def adopt(catalog: Catalog, table: Table) -> None:
    """Make this catalog the owner of a table's location."""
    _write(table, msgspec.structs.replace(_claim(catalog, table), taken=True), overwrite=True)


def read(table: Table) -> Claim | None:
    """The claim stored at a location; None without one. Raises StateRefused when it cannot be read."""
    source = table.io.new_input(_marker(table))
    if not source.exists():
        return None
    for _ in range(ATTEMPTS):  # another process may be writing it
        with suppress(msgspec.DecodeError, RecursionError), source.open() as stream:
            return msgspec.json.decode(stream.read(), type=Claim)
        time.sleep(PAUSE_SECONDS)
    raise StateRefused(f"{_where(table)} does not say whose it is ({_marker(table)}): {_ADOPT}")


def _read_any(table: Table) -> Claim | None:
    with suppress(StateRefused):
        return read(table)
    return None


_ADOPT = (
    "nothing is written or removed there; if no other platform uses it any more, `k2 cold adopt` makes it "
    "this one's, else set K2_ICEBERG_WAREHOUSE and K2_ICEBERG_CATALOG_URI to a place of its own"
)


def _same(one: Claim | None, other: Claim) -> bool:
    """A moved data folder is the same catalog if a link leads from its old path to the new one."""
    if one is None or one.table != other.table:
        return False
    return one.catalog == other.catalog or (
        one.catalog.startswith(_SQLITE)
        and _SQLITE + str(Path(one.catalog.removeprefix(_SQLITE)).resolve()) == other.catalog
    )


def _claim(catalog: Catalog, table: Table) -> Claim:
    return Claim(identity(catalog), str(table.metadata.table_uuid), clock.now_us() // 1000)


def _write(table: Table, made: Claim, *, overwrite: bool) -> None:
    with table.io.new_output(_marker(table)).create(overwrite) as stream:
        stream.write(msgspec.json.encode(made))


def _marker(table: Table) -> str:
    return f"{table.location().rstrip('/')}{MARKER}"


def _where(table: Table) -> str:
    return f"the location {table.location()} of {'.'.join(table.name())}"


def _inside(catalog: Catalog, table: Table) -> bool:
    """True as well for a REST catalog, which chooses locations itself."""
    warehouse = catalog.properties.get("warehouse", "")
    return "://" not in warehouse or table.location().startswith(warehouse.rstrip("/") + "/")
