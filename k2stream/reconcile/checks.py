"""The checks of schemas/clickhouse/validate.sql: reads them, fills them in, and runs them in order."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from clickhouse_driver import errors

from k2stream.model.errors import ConfigError, NoServer
from k2stream.resources import SCHEMAS
from k2stream.settings import Settings

FILE = SCHEMAS / "clickhouse" / "validate.sql"

_HEAD = re.compile(r"^-- check: (\w+) \| (.+)$")
_AGAIN_SECONDS = 1.0
_OPTIONS = {"max_execution_time": 600, "join_use_nulls": 0}


class Check(NamedTuple):
    """A query that selects wrong rows, its name, and what it proves when it selects none."""

    name: str
    proves: str
    sql: str


class Finding(NamedTuple):
    """The result of a check: the number of wrong rows, an example, or the error that prevented it."""

    check: Check
    rows: int = 0
    example: dict[str, Any] | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the check ran and found no wrong row."""
        return not self.rows and not self.error


class Range(NamedTuple):
    """The range to check: rows received and windows ended from `since` to `settled`, in UTC."""

    since: datetime
    settled: datetime


def read(path: Path = FILE) -> list[Check]:
    """Read the checks of a file. Raises ConfigError for a query without a name, or a name without a query."""
    checks: list[Check] = []
    lines: list[str] = []
    head: re.Match[str] | None = None
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), "-- check: "], 1):
        if not line.startswith("-- check:"):
            if not line.startswith("--"):
                lines.append(line)
            continue
        sql = "\n".join(lines).strip()
        if bool(sql) != bool(head) or (sql and (not sql.endswith(";") or ";" in sql[:-1])):
            raise ConfigError(f"{path.name}: before line {number}: expected one query, ended by a semicolon")
        if head:
            checks.append(Check(head[1], head[2], sql[:-1]))
        lines, head = [], _HEAD.match(line)
    return checks


def run(
    client: Any,
    settings: Settings,
    checks: list[Check],
    within: Range,
    patience: float = 0.0,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Finding]:
    """Run each check. Raises ConfigError when the server cannot be reached.

    A query reads its tables one after the other while workers write, so rows that look wrong may only be
    late. Such a check is repeated for the same range, for up to `patience` seconds over all checks.
    """
    left = patience
    values = {
        "database": settings.clickhouse.database,
        "grace": str(settings.candles.grace_us),
        "since": _literal(within.since),
        "settled": _literal(within.settled),
    }
    for check in checks:
        sql = Template(check.sql).substitute(values)
        try:
            finding = _finding(client, check, sql)
            while finding.rows and left > 0:
                pause(_AGAIN_SECONDS)
                left -= _AGAIN_SECONDS
                finding = _finding(client, check, sql)
        except (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError) as error:
            where = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
            raise NoServer(
                f"no ClickHouse at {where} ({_line(error)}); start one with `k2 up` or set "
                "K2_CLICKHOUSE_HOST and K2_CLICKHOUSE_PORT",
                where,
                "K2_CLICKHOUSE_HOST",
            ) from None
        except errors.ServerException as error:
            yield Finding(check, error=_line(error))
        else:
            yield finding


def _finding(client: Any, check: Check, sql: str) -> Finding:
    """Count and example come from one query, because the layers may change between two."""
    found, columns = client.execute(
        f"SELECT count() OVER () AS all_rows, * FROM ({sql}) LIMIT 1",
        with_column_types=True,
        settings=_OPTIONS,
    )
    if not found:
        return Finding(check)
    # The engine prefixes some columns of a join with their table: s.trade_id.
    (rows, *values), (_, *names) = found[0], (name.rpartition(".")[2] for name, _ in columns)
    return Finding(check, rows, dict(zip(names, values, strict=True)))


def _literal(moment: datetime) -> str:
    return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _line(error: Exception) -> str:
    return " ".join(str(error).split("Stack trace")[0].split())[:300]
