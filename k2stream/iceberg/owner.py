"""Who may write and clean a table's location: the catalog that is named there.

A copied data folder, or a second host with a catalog of its own, has tables in a location that another
catalog writes: its maintenance would take that one's files for orphans. So a file beside it says which
catalog and which table the location is of, and whoever is not named there keeps its hands off, until a person
says that it is now the owner (`k2 cold adopt`). Then it is the other one that stops.
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
"""Beside the table's folder, in which others list files."""

_SQLITE = "sqlite "
NAMESPACE, PROPERTY = "k2_catalog", "k2.catalog"
ATTEMPTS, PAUSE_SECONDS = 20, 0.05


class Claim(msgspec.Struct, frozen=True):
    """Whose a location is, and since when (ms since 1970): what lay there before may be of others.

    Of one that was `taken` over it is: the one before may still read all that was its own.
    """

    catalog: str
    table: str
    since: int
    taken: bool = False


def identity(catalog: Catalog) -> str:
    """Tells catalogs apart: where a SQLite file is, else an id that is kept in the catalog itself.

    It is a namespace's, since of several that are made at once a catalog keeps one.
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
    """Load a table to write or to clean it. Raises StateRefused when its location is another catalog's."""
    table = catalog.load_table(name)
    claim(catalog, table, created=False)
    return table


def claim(catalog: Catalog, table: Table, *, created: bool) -> Claim:
    """The claim on a table's location; made where there is none: a new table's, or an earlier release's.

    Raises StateRefused when it is another's, or lies where this catalog makes no tables.
    """
    mine, found = _claim(catalog, table), read(table)
    # Of a table of this catalog that was dropped.
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
    """Tables whose location is another catalog's, or nobody's: with whose it is."""
    names = [name for namespace in catalog.list_namespaces() for name in catalog.list_tables(namespace)]
    found = [(table, _read_any(table)) for table in map(catalog.load_table, names)]
    return [(table, claim) for table, claim in found if not _same(claim, _claim(catalog, table))]


def adopt(catalog: Catalog, table: Table) -> None:
    """Take a location over."""
    _write(table, msgspec.structs.replace(_claim(catalog, table), taken=True), overwrite=True)


def read(table: Table) -> Claim | None:
    """What a location says; None where it says nothing. Raises StateRefused when it cannot be understood."""
    source = table.io.new_input(_marker(table))
    if not source.exists():
        return None
    for _ in range(ATTEMPTS):  # another may be writing it
        with suppress(msgspec.DecodeError), source.open() as stream:
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
    """A data folder that was moved is the same catalog where a link leads from its old place to it."""
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
    """A catalog behind REST chooses locations by itself."""
    warehouse = catalog.properties.get("warehouse", "")
    return "://" not in warehouse or table.location().startswith(warehouse.rstrip("/") + "/")
