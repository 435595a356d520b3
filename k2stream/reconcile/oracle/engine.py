"""The oracle's own SQL engine, in this process, with a database to itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from chdb.session import Session

_NUMBERS = itertools.count()


class OracleEngine:
    """A session; tables are by their bare names."""

    def __init__(self) -> None:
        self._session = Session()
        # Sessions of one process share the engine, so each has a database of its own.
        self._database = f"oracle_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {self._database}")
        self.run(f"USE {self._database}")
        self.run("SET prefer_column_name_to_alias = 1")  # what a layer says comes before what we make of it
        self.run("SET schema_inference_make_columns_nullable = 'auto'")
        self.run("SET join_use_nulls = 0, max_bytes_before_external_sort = 2000000000")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(f"DROP DATABASE {self._database}")
        self._session.close()

    def run(self, sql: str) -> None:
        """A statement without an answer."""
        self._session.query(sql)

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of a query; whole numbers of any size are numbers, decimals are strings."""
        output = self._session.query(sql, "JSONCompactEachRow").bytes()
        return [msgspec.json.decode(line) for line in output.splitlines() if line]

    def number(self, sql: str) -> int:
        """The one number of a query."""
        ((value,),) = self.rows(sql)
        return int(value)

    def table(self, name: str, query: str, order: str = "tuple()") -> None:
        """Make a table of a query's rows."""
        self.run(f"CREATE TABLE {name} ENGINE = Memory SETTINGS compress = 1 AS {query}")

    def load(self, name: str, path: Path, query: str = "SELECT * FROM {file}") -> None:
        """Make a table of a Parquet file, `{file}` in the query."""
        self.table(name, query.format(file=f"file('{path}', Parquet)"))
