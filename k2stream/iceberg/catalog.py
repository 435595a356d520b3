"""The Iceberg catalog: SQLite in the data folder, or the one that the settings name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pyiceberg.catalog import Catalog as Catalog  # for annotations in other packages
from pyiceberg.catalog import load_catalog
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from k2stream.model.errors import ConfigError, Unavailable
from k2stream.settings import IcebergSettings

NAME = "k2"
"""pyiceberg reads more properties from its own configuration: `PYICEBERG_CATALOG__K2__S3__PROXY_URI`, …"""

_OPENING_AT_ONCE = 5

_IN_URLS = frozenset("?#%")
"""Special characters in URLs: unquoted, they once made a path name another platform's catalog."""


def sqlite(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{quote(str(path))}"


def sqlite_path(uri: str) -> Path:
    """The file that a SQLite URL names."""
    return Path(make_url(uri).database or "")


def local(folder: Path) -> str:
    """A folder as an Iceberg location; pyiceberg does not unquote a path without a scheme."""
    return str(folder) if _IN_URLS & set(str(folder)) else f"file://{folder}"


def inode(catalog: Catalog) -> tuple[int, int] | None:
    """Device and inode of a SQLite catalog's file, which differ once it is replaced; None for others."""
    uri = catalog.properties.get("uri", "")
    path = sqlite_path(uri) if uri.startswith("sqlite") else None
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def existing_catalog(settings: IcebergSettings) -> Catalog:
    """As `open_catalog`, for commands: creates no local catalog. Raises ConfigError if there is none."""
    path = settings.data_path / "iceberg" / "catalog.db"
    if not settings.catalog_uri and not path.exists():
        raise ConfigError(
            f"{path} does not exist yet: no cold worker has written there; start one with `k2 up`, or set "
            "K2_DATA_DIR"
        )
    return open_catalog(settings)


def open_catalog(settings: IcebergSettings) -> Catalog:
    """Open the catalog. http(s) URIs are REST catalogs; all others are SQLAlchemy's (PostgreSQL, SQLite)."""
    folder = settings.data_path / "iceberg"
    uri, warehouse = settings.catalog_uri, settings.warehouse
    if not uri or not warehouse:
        folder.mkdir(parents=True, exist_ok=True)
    uri = uri or sqlite(folder / "catalog.db")
    warehouse = warehouse or local(folder / "warehouse")
    kind = "rest" if uri.startswith(("http://", "https://")) else "sql"
    for _ in range(_OPENING_AT_ONCE):
        try:
            return load_catalog(NAME, type=kind, uri=uri, warehouse=warehouse, **settings.access)
        except DBAPIError as error:  # the exception class differs between databases
            if "already exists" not in str(error):
                raise
    raise Unavailable("the tables of the catalog are created by others again and again: try again")


class CurrentCatalog:
    """The catalog for a process that goes on: opened again once a SQLite file has been replaced.

    The connections of an open one would go on reading the file that was there.
    """

    def __init__(self, settings: IcebergSettings) -> None:
        self._settings = settings
        self._known: Catalog | None = None
        self._inode: tuple[int, int] | None = None

    def get(self) -> Catalog:
        """The catalog that the settings name now."""
        if self._known is None or inode(self._known) != self._inode:
            self._known = open_catalog(self._settings)
            self._inode = inode(self._known)
        return self._known
