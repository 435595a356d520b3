"""Iceberg as a destination: a commit is rows and offsets in one, so nothing is saved after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitStateUnknownException,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
    WaitingForLockException,
)
from sqlalchemy.exc import OperationalError

from k2stream.cold import tables, writer
from k2stream.cold.catalog import open_catalog
from k2stream.settings import Settings
from k2stream.sinks.base import Away
from k2stream.sinks.progress import Partition, Position
from k2stream.sinks.route import Route
from k2stream.sinks.table import Rows

_AWAY = (
    CommitStateUnknownException,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
    WaitingForLockException,
    OperationalError,
    OSError,
)

Result = TypeVar("Result")


class Iceberg:
    """The cold tier as a destination."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Catalog | None = None

    def prepare(self, routes: Sequence[Route]) -> None:
        """Create the tables."""
        for route in routes:
            self._call(partial(self._ensure, route.table))

    def positions(self, route: Route) -> Mapping[int, Position]:
        """Read from the snapshots' properties."""
        held = self._call(lambda: writer.positions(self._catalog().load_table(route.table)))
        return {
            partition.partition: position
            for partition, position in held.items()
            if partition.topic == route.topic
        }

    def write(self, route: Route, batch: Rows) -> int:
        """One commit."""
        load = partial(self._catalog().load_table, route.table)
        return self._call(lambda: writer.append(load, route, batch))

    def save(self, positions: Mapping[tuple[str, Partition], Position]) -> None:
        """The commits hold them."""

    def close(self) -> None:
        """Nothing is open between commits."""

    def _catalog(self) -> Catalog:
        if self._opened is None:
            self._opened = open_catalog(self._settings)
        return self._opened

    def _ensure(self, name: str) -> None:
        tables.ensure(self._catalog(), tables.TABLES[name])

    def _call(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except FileNotFoundError:
            raise  # files that the catalog names are gone: trying again does not help
        except _AWAY as error:
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise Away(f"the Iceberg catalog or warehouse is away ({text})") from error
