"""Iceberg as a destination: one commit has rows and positions, so nothing is saved separately."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from pyiceberg.exceptions import (
    CommitStateUnknownException,
    NoSuchTableError,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
    WaitingForLockException,
)
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError

from k2stream.delivery.buffer import Rows
from k2stream.delivery.destination import DestinationUnavailable
from k2stream.delivery.epochs import Key, Move
from k2stream.delivery.progress import SinkPosition
from k2stream.delivery.route import Route
from k2stream.iceberg import owner, tables, writer
from k2stream.iceberg.catalog import CurrentCatalog
from k2stream.model.errors import ConfigError, StateRefused
from k2stream.settings import IcebergSettings

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


_OURS = re.compile(r"(/.*?)/iceberg/warehouse/")


def gone(said: str, data: Path) -> str:
    """The advice for a missing file that the catalog names: the data folder was moved, or files were lost."""
    found = _OURS.search(said)
    if found and Path(found[1]) != data:
        old = shlex.quote(found[1])
        return (
            f"the Iceberg tables name files in {found[1]}, and this data folder is {data}: move it back, or "
            f"run `ln -s {shlex.quote(str(data))} {old}`"
        )
    what = " ".join(said.split())[:200]
    return (
        f"files that the Iceberg catalog names are gone ({what}): bring them back, or "
        "drop the table, and it is filled again from Kafka as far back as that reaches"
    )


class Iceberg:
    """The cold tier as a destination."""

    def __init__(self, settings: IcebergSettings) -> None:
        self._settings = settings
        self._catalog = CurrentCatalog(settings)
        self._opened: dict[Key, SinkPosition] = {}

    def prepare(self, routes: Sequence[Route]) -> None:
        """Create the tables that are missing."""
        for route in routes:
            self._call(partial(self._ensure, route.table))

    def positions(self, route: Route) -> Mapping[int, SinkPosition]:
        """Positions from the snapshots' properties, by partition."""
        durable = self._call(lambda: writer.positions(self._load(route.table)))
        for (table, at), position in self._opened.items():
            found = durable.get(at, SinkPosition())
            if table == route.table and not found.epoch and found.offset == position.offset:
                durable[at] = position
        return {at.partition: position for at, position in durable.items() if at.topic == route.topic}

    def open(self, positions: Mapping[Key, SinkPosition]) -> None:
        """Commit positions without rows, unless the next batch can bring a partition's first epoch itself."""
        for (table, at), position in positions.items():
            self._call(partial(writer.reposition, partial(self._load, table), at, position))
            self._opened[table, at] = position

    def write(self, route: Route, batch: Rows) -> int:
        """Write the batch in one commit; returns the number of rows."""
        return self._call(lambda: writer.append(partial(self._load, route.table), route, batch))

    def save(self, moves: Mapping[Key, Move]) -> None:
        """Nothing to do: the commits have the positions."""

    def close(self) -> None:
        """Nothing to do: no connection is open between commits."""

    def _load(self, name: str) -> Table:
        return owner.own(self._catalog.get(), name)

    def _ensure(self, name: str) -> None:
        tables.ensure(self._catalog.get(), tables.TABLES[name])

    def _call(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except NoSuchTableError as error:
            raise ConfigError(
                f"the Iceberg catalog lost a table ({error}): start the worker again, it creates it and "
                "fills it from Kafka"
            ) from error
        except FileNotFoundError as error:  # a retry does not help
            raise StateRefused(gone(str(error), self._settings.data_path)) from error
        except _AWAY as error:
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise DestinationUnavailable(
                f"the Iceberg catalog or warehouse is unavailable ({text}); start it, or correct "
                "K2_ICEBERG_CATALOG_URI and K2_ICEBERG_WAREHOUSE"
            ) from error
