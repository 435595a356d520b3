"""Applies schemas/clickhouse/*.sql once each, in the order of their numbers, then derived changes.

Derived changes are columns of added canonical fields, and bronze tables of exchanges that no file covers.

A file is a template over `${database}`. Statements are idempotent: workers that start at the same time do no
harm.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from clickhouse_driver import errors

from k2stream.clickhouse import bronze, evolve
from k2stream.clickhouse.cluster import clustered, local
from k2stream.model.errors import ConfigError, NoServer
from k2stream.resources import SCHEMAS
from k2stream.settings import ClickHouseSettings

logger = logging.getLogger(__name__)

FOLDER = SCHEMAS / "clickhouse"

_POSITIONS = "sink_positions"
_MADE = re.compile(r"CREATE TABLE IF NOT EXISTS \$\{database\}\.(\w+)")
_TABLES = "SELECT name FROM system.tables WHERE database = %(database)s"
_TABLE = """
CREATE TABLE IF NOT EXISTS {database}.migrations
(
    name String,
    sha256 FixedString(64),
    applied_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (name, sha256)
"""


def migrate(client: Any, settings: ClickHouseSettings, folder: Path = FOLDER) -> list[str]:
    """Apply new files, or all files when a table is missing; returns the names of what was applied.

    Raises ConfigError when an applied file was changed or is missing among ours, or when the server is
    unreachable.
    """
    database = settings.database

    def run(statement: str) -> None:
        for each in clustered(statement, settings.cluster):
            client.execute(each)

    try:
        run(f"CREATE DATABASE IF NOT EXISTS {database}")
        run(_TABLE.format(database=database))
    except (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError):
        where = f"{settings.host}:{settings.port}"
        raise NoServer(
            f"no ClickHouse at {where}; start one with `k2 up` "
            "or set K2_CLICKHOUSE_HOST and K2_CLICKHOUSE_PORT",
            where,
            "K2_CLICKHOUSE_HOST",
        ) from None
    found = dict(client.execute(f"SELECT name, sha256 FROM {database}.migrations"))
    files, applied = _files(folder, found), []
    lost = _lost(client, settings, [path for path in files if path.name in found])
    if lost:
        logger.warning("tables of %s were missing and are created again: %s", database, ", ".join(lost))
        _forget(lost, database, run)
    for path in files:
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if path.name in found:
            if found[path.name] != digest:
                raise ConfigError(
                    f"{path.name} was changed after it was applied: restore it, put the change in a new file"
                )
            if not lost:
                continue
        for statement in statements(text, database):
            run(statement)
        if path.name in found:
            continue
        now = datetime.now(UTC)
        client.execute(f"INSERT INTO {database}.migrations VALUES", [(path.name, digest, now)])
        applied.append(path.name)
    return [*applied, *_more_bronze(client, settings, run), *_evolve(client, database, run)]


def _lost(client: Any, settings: ClickHouseSettings, files: list[Path]) -> list[str]:
    """Tables that the applied files created and that no longer exist."""
    made = [name for path in files for name in _MADE.findall(path.read_text(encoding="utf-8"))]
    if not made:
        return []
    existing = _existing(client, settings)
    return [name for name in made if name not in existing]


def _existing(client: Any, settings: ClickHouseSettings) -> set[str]:
    """The tables of the database that exist; on a cluster, also as the local one that has the rows."""
    names = {name for (name,) in client.execute(_TABLES, {"database": settings.database})}
    return {name for name in names if not settings.cluster or local(name) in names}


def _forget(lost: list[str], database: str, run: Callable[[str], None]) -> None:
    """Delete the stored positions of missing tables, before the tables are recreated."""
    if _POSITIONS not in lost:
        names = ", ".join(f"'{name}'" for name in lost)
        where = f"WHERE table IN ({names}) SETTINGS mutations_sync = 2"
        run(f"ALTER TABLE {database}.{_POSITIONS} DELETE {where}")


def _more_bronze(client: Any, settings: ClickHouseSettings, run: Callable[[str], None]) -> list[str]:
    """Create bronze tables that no file covers, without old positions, and add them to the view."""
    files = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("[0-9]*.sql"))]
    wanted = bronze.tables(set(_MADE.findall("".join(files))))
    if not wanted:
        return []
    database, existing = settings.database, _existing(client, settings)
    new = [name for name in wanted if name not in existing]
    if new:
        _forget(new, database, run)
    for name in new:
        run(Template(wanted[name]).substitute(database=database))
    made = [each for text in files for each in statements(text, database)]
    run(bronze.view(made, database, wanted))
    return new


def _evolve(client: Any, database: str, run: Callable[[str], None]) -> list[str]:
    """Add the table's missing columns for added canonical fields; returns their names."""
    wanted = evolve.columns()
    if not wanted:
        return []
    query = "SELECT name FROM system.columns WHERE database = %(database)s AND table = %(table)s"
    existing = {name for (name,) in client.execute(query, {"database": database, "table": evolve.TABLE})}
    new = {name: kind for name, kind in wanted.items() if name not in existing}
    for name, kind in new.items():
        run(f"ALTER TABLE {database}.{evolve.TABLE} ADD COLUMN IF NOT EXISTS `{name}` {kind}")
    return [f"{evolve.TABLE}.{name}" for name in new]


def _files(folder: Path, found: dict[str, str]) -> list[Path]:
    """The files, of which none that was applied may be missing, unless a later release has applied it.

    Its workers replace those of this release one by one; one of ours that starts meanwhile goes on.
    """
    paths = sorted(folder.glob("[0-9]*.sql"))
    last = max((path.name for path in paths), default="")
    missing = sorted(found.keys() - {path.name for path in paths})
    later = [name for name in missing if name > last]
    if len(later) < len(missing):
        raise ConfigError(
            f"{missing[0]} was applied to this database but is not in {folder.name}/: "
            "restore it, or use the release that has it"
        )
    if later:
        logger.warning("a later release has applied %s: replace this worker by one of it", ", ".join(later))
    return paths


def statements(text: str, database: str) -> Iterator[str]:
    """Yield a file's statements with the template filled in; each ends with a semicolon at a line's end."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    for statement in "\n".join(lines).split(";\n"):
        if statement := statement.strip().rstrip(";"):
            yield Template(statement).substitute(database=database)
