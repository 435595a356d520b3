"""The chdb engine on one data folder: sessions, a bounded thread pool, and ClickHouse's error codes."""

import asyncio
import fcntl
import os
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from k2stream.embedded.clickhouse.statements import quote
from k2stream.model.errors import ConfigError, K2Error

T = TypeVar("T")
Session = Any  # chdb's session class has no type annotations

THREADS = 16  # maximum of concurrent queries; further ones wait
SERVER_SETTINGS = {  # in bytes; the defaults allow gigabytes of caches
    "max_server_memory_usage": 4 << 30,
    "mark_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "primary_index_cache_size": 64 << 20,
    "query_condition_cache_size": 16 << 20,
    "compiled_expression_cache_size": 16 << 20,
}
ALLOCATOR = "dirty_decay_ms:1000"  # return freed pages to the system after 1 s instead of 5
NOT_IMPLEMENTED, SYNTAX_ERROR, UNKNOWN_SETTING, CANCELLED, UNKNOWN = 48, 62, 115, 394, 1002


class QueryError(K2Error):
    """A statement failed, with ClickHouse's error code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. {message}")
        self.code = code
        self.message = message


def query_error(error: RuntimeError) -> QueryError:
    """Convert chdb's exception, which has the error code in its text."""
    match = re.search(r"Code: (\d+)\. (.*)", str(error), re.S)
    return QueryError(int(match[1]), match[2]) if match else QueryError(UNKNOWN, str(error))


def not_implemented(message: str) -> QueryError:
    return QueryError(NOT_IMPLEMENTED, f"DB::Exception: {message}. (NOT_IMPLEMENTED)")


class ServerEngine:
    """The process's engine. Raises ConfigError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        _check(folder)
        self.folder = folder
        self.commands = 0
        """Counter, raised before and after each statement that may change a table's columns."""
        self._open = _load_chdb()
        options = "&".join(f"{name}={value}" for name, value in SERVER_SETTINGS.items())
        try:
            self._keep = self._open(f"{folder}?{options}")  # the engine stops with its last session
        except RuntimeError as error:
            raise ConfigError(f"ClickHouse cannot open the data folder {folder}: {error}") from error
        self._pool = ThreadPoolExecutor(THREADS, "clickhouse")

    def session(self) -> Session:
        """A session with its own current database and settings."""
        return self._open(str(self.folder))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function` on a thread of the pool. Raises QueryError for the engine's errors."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        except RuntimeError as error:
            raise query_error(error) from error

    def close(self) -> None:
        self._pool.shutdown()
        self._keep.close()


def run(session: Session, sql: str, format_: str = "Native", params: dict[str, str] | None = None) -> bytes:
    """Run one statement and return the whole result."""
    result: bytes = session.query(sql, format_, params=params).bytes()
    return result


def apply_settings(session: Session, settings: dict[str, str], applied: list[str]) -> None:
    """Apply settings, adding each to `applied` so that the caller can reset them even after a failure."""
    for name, value in settings.items():
        if not re.fullmatch(r"\w+", name):
            raise QueryError(UNKNOWN_SETTING, f"DB::Exception: Unknown setting {name}. (UNKNOWN_SETTING)")
        session.query(f"SET {name} = {quote(value)}")
        applied.append(name)


def reset_settings(session: Session, names: Iterable[str]) -> None:
    for name in names:
        session.query(f"SET {name} = DEFAULT")


def _load_chdb() -> Callable[[str], Session]:
    """Import chdb's Session class, without the optional pyarrow, which the server does not need."""
    os.environ.setdefault("JE_MALLOC_CONF", ALLOCATOR)
    arrow = sys.modules.get("pyarrow")
    sys.modules["pyarrow"] = None  # type: ignore[assignment]  # optional to chdb, 40 MB
    try:
        from chdb import session
    finally:
        del sys.modules["pyarrow"]
        if arrow:
            sys.modules["pyarrow"] = arrow
    open_session: Callable[[str], Session] = session.Session
    return open_session


def _check(folder: Path) -> None:
    if "?" in str(folder):
        raise ConfigError(
            f"the ClickHouse data folder {folder} must not have a '?' in its name: set K2_DATA_DIR to another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "status").open("a+") as status:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = re.search(r"PID: (\d+)", (folder / "status").read_text())
        raise ConfigError(
            f"the ClickHouse data folder {folder} is in use by process {holder[1] if holder else 'unknown'}: "
            "stop it, or set K2_DATA_DIR to another folder"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the ClickHouse data folder {folder} cannot be written ({error.strerror}): set "
            "K2_DATA_DIR to a folder you own"
        ) from error
