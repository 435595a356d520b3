"""Room on the disks of data and cache: what is too little, and what to do then."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from k2stream.embedded.errors import StackError

GB = 1 << 30
LEAST, LITTLE = 1 * GB, 5 * GB
"""Free bytes below which nothing is started, and below which it is said how many there are."""

ADVICE = "free some space, set K2_DATA_DIR to a folder on another disk, or stop and `k2 reset`"


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not exist yet."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


def check(folder: Path, free: int, say: Callable[[str], None]) -> None:
    """Say that there is little room for a data folder. Raises StackError where it is too little to start."""
    text = f"{free / GB:.1f} GB free for {folder}"
    if free < LEAST:
        raise StackError(f"{text}: a platform needs at least {LEAST / GB:g} GB; {ADVICE}")
    if free < LITTLE:
        say(f"{text}: once it is full, nothing is stored any more; {ADVICE}")


def used_bytes(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk, also of one that is written meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):  # leaves out folders that go meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total


def amount(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / GB:.1f} GB" if size >= GB // 10 else f"{size / (1 << 20):.0f} MB"


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is that of a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def writing(folder: Path, setting: str) -> Iterator[None]:
    """Turn an error of the file system into one line that names folder and setting. Raises StackError."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full(folder, setting) from error
        raise StackError(f"cannot write to {folder} ({error}): set {setting} to a folder you own") from error


def full(folder: Path, setting: str) -> StackError:
    """The error of a disk that is full, by a folder on it and the setting that names the folder."""
    return StackError(f"the disk of {folder} is full: free some space, or set {setting} to another folder")
