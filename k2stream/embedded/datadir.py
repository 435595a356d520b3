"""The data folder: one owner at a time, and a file with the endpoints of its stack."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from k2stream.embedded import room
from k2stream.embedded.endpoints import Endpoints
from k2stream.embedded.errors import StackError

LOCK = "stack.lock"
ENDPOINTS = "stack.json"
# May exist before a stack first runs on the folder.
EXPECTED_ENTRIES = {
    "workers",
    "logs",
    "iceberg",
    "backfill",
}
_SETTING = "K2_DATA_DIR"
_UNKNOWN = 0  # the process, in the notes of the releases before
_PATIENCE = 0.5  # seconds; `owner` takes the lock for an instant


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own the folder, creating it if necessary, until the block ends or the process dies.

    The kernel releases the lock when the process dies, so the lock file of a dead owner is simply taken over.
    Raises StackError when a running process owns the folder, when it contains foreign files, and when it
    cannot be written to.
    """
    _check_ours(folder)
    with room.writing(folder, _SETTING):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    with lock:
        _acquire(lock.fileno(), folder)
        with room.writing(folder, _SETTING):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield


def owner(folder: Path) -> int | None:
    """Process id of the folder's owner; None when no process owns it."""
    try:
        lock = (folder / LOCK).open()
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid(folder)
    return None


def remember(endpoints: Endpoints) -> None:
    """Write the endpoints to their data folder, where they remain after the stack stops."""
    fields = asdict(endpoints)
    del fields["data_dir"]  # a folder may be moved
    fields["owner"] = os.getpid()
    note = endpoints.data_dir / ENDPOINTS
    fresh = note.with_suffix(".tmp")
    fresh.write_text(json.dumps(fields, indent=1) + "\n")
    fresh.replace(note)


def remembered(folder: Path) -> Endpoints | None:
    """Endpoints of the folder's running or last stack; None if there was none or the file is unreadable."""
    noted = _noted(folder)
    return noted and noted[0]  # without one, new ports are chosen


def running(folder: Path) -> Endpoints | None:
    """Endpoints of the stack that runs on the folder; None if none does, or it has not started yet."""
    noted, process = _noted(folder), owner(folder)
    return noted[0] if noted and process is not None and noted[1] in (process, _UNKNOWN) else None


def _noted(folder: Path) -> tuple[Endpoints, int] | None:
    """The endpoints that were written last, and the process that wrote them."""
    try:
        found = {name: int(value) for name, value in json.loads((folder / ENDPOINTS).read_text()).items()}
        secure, process = bool(found.pop("secure", 0)), found.pop("owner", _UNKNOWN)
        return Endpoints(**found, data_dir=folder, secure=secure), process
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def wipe(folder: Path) -> None:
    """Delete the contents of the folder, if it exists.

    Raises StackError when a stack runs on it, or when it is not a data folder of K2 stream.
    """
    if not folder.exists():
        return
    with owned(folder), room.writing(folder, _SETTING):
        for entry in folder.iterdir():
            if entry.name == LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _check_ours(folder: Path) -> None:
    """Refuse a folder with foreign files on its first use, so that a wipe never deletes any."""
    if folder.exists() and not folder.is_dir():
        raise StackError(f"{folder} is not a folder: set K2_DATA_DIR to a new or empty one")
    if not folder.exists() or (folder / LOCK).exists():
        return
    if any(entry.name not in EXPECTED_ENTRIES for entry in folder.iterdir()):
        raise StackError(
            f"{folder} holds files that are not K2 stream's: set K2_DATA_DIR to a new or empty folder"
        )


def _acquire(lock: int, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StackError(
                    f"process {_pid(folder)} runs a stack on {folder}: stop it, or set K2_DATA_DIR to another"
                ) from None
        time.sleep(0.02)


def _pid(folder: Path) -> int:
    return int((folder / LOCK).read_text() or 0)
