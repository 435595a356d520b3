"""Which roles' state was mended beside a running platform: their refused workers are started again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = "mended"


def note(data: Path, roles: Iterable[str]) -> None:
    """Say so in the data folder: a file per role, so that mends that follow each other do not meet."""
    (data / FOLDER).mkdir(exist_ok=True)
    for role in roles:
        (data / FOLDER / role).touch()


def take(data: Path) -> set[str]:
    """The roles that were noted since the last call."""
    found = set()
    for file in (data / FOLDER).glob("*"):
        file.unlink()
        found.add(file.name)
    return found
