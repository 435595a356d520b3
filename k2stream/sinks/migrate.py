"""Applies schemas/clickhouse/*.sql, in the order of their numbers, each once.

A file is a template over `${database}`. Statements are idempotent, so workers that start at once do no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from clickhouse_driver import errors

from k2stream.errors import ConfigError
from k2stream.resources import SCHEMAS
from k2stream.settings import Settings

FOLDER = SCHEMAS / "clickhouse"

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


def migrate(client: Any, settings: Settings, folder: Path = FOLDER) -> list[str]:
    """Apply what is new; the names applied.

    Raises ConfigError when an applied file has changed or is missing, or the server cannot be reached.
    """
    database = settings.clickhouse_database
    try:
        client.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
        client.execute(_TABLE.format(database=database))
    except (OSError, EOFError, errors.NetworkError, errors.SocketTimeoutError):
        raise ConfigError(
            f"no ClickHouse at {settings.clickhouse_host}:{settings.clickhouse_port}; start one with `k2 up` "
            "or set K2_CLICKHOUSE_HOST and K2_CLICKHOUSE_PORT"
        ) from None
    found = dict(client.execute(f"SELECT name, sha256 FROM {database}.migrations"))
    applied = []
    for path in _files(folder, found):
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if path.name in found:
            if found[path.name] != digest:
                raise ConfigError(
                    f"{path.name} was changed after it was applied: restore it, put the change in a new file"
                )
            continue
        for statement in statements(text, database):
            client.execute(statement)
        now = datetime.now(UTC)
        client.execute(f"INSERT INTO {database}.migrations VALUES", [(path.name, digest, now)])
        applied.append(path.name)
    return applied


def _files(folder: Path, found: dict[str, str]) -> list[Path]:
    paths = sorted(folder.glob("[0-9]*.sql"))
    missing = sorted(found.keys() - {path.name for path in paths})
    if missing:
        raise ConfigError(
            f"{missing[0]} was applied to this database but is not in {folder.name}/: "
            "restore it, or use the release that has it"
        )
    return paths


def statements(text: str, database: str) -> Iterator[str]:
    """A file's statements, its template filled in. Statements end with a semicolon at the end of a line."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    for statement in "\n".join(lines).split(";\n"):
        if statement := statement.strip().rstrip(";"):
            yield Template(statement).substitute(database=database)
