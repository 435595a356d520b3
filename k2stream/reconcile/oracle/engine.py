"""The oracle's own SQL engine, in this process, with a separate database."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from chdb.session import Session

_NUMBERS = itertools.count()


class OracleEngine:
    """An engine session; tables are addressed without a database name."""

    def __init__(self) -> None:
        self._session = Session()
        # Sessions of a process share one engine, so each uses its own database.
        self._database = f"oracle_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {self._database}")
        self.run(f"USE {self._database}")
        self.run("SET prefer_column_name_to_alias = 1")  # a layer's column takes precedence over our alias
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
        """Run a statement without a result."""
        self._session.query(sql)

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of a query; integers of any size are numbers, decimals are strings."""
        output = self._session.query(sql, "JSONCompactEachRow").bytes()
        return [msgspec.json.decode(line) for line in output.splitlines() if line]

    def number(self, sql: str) -> int:
        """The single number that a query returns."""
        ((value,),) = self.rows(sql)
        return int(value)

    def table(self, name: str, query: str, order: str = "tuple()") -> None:
        """Create a table from the rows of a query."""
        self.run(f"CREATE TABLE {name} ENGINE = Memory SETTINGS compress = 1 AS {query}")

    def load(self, name: str, path: Path, query: str = "SELECT * FROM {file}") -> None:
        """Create a table from a Parquet file, which is `{file}` in the query."""
        self.table(name, query.format(file=f"file('{path}', Parquet)"))
