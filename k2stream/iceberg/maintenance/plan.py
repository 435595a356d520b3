"""What maintenance is to do (pure): which files to merge, which snapshots may go, which files are orphans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

EVER = datetime.fromtimestamp(0, UTC)
SMALL = 0.75
"""A file below this share of the target is small."""


class File(NamedTuple):
    """A live data file; `oldest` orders files by what is in them."""

    path: str
    partition: tuple[object, ...]
    oldest: int
    bytes: int
    rows: int


class Commit(NamedTuple):
    """A snapshot; `tells` the positions of the topics, at `at` in ms since 1970."""

    id: int
    parent: int | None
    at: int
    tells: bool


def bins(files: Iterable[File], target_bytes: int, target_rows: int) -> list[list[File]]:
    """Small files to merge into one each: a partition's, oldest first, until a bin reaches a target.

    Every bin makes one file of several: merging again and again ends, with a small file a partition at most.
    """
    partitions: dict[tuple[object, ...], list[File]] = {}
    for file in sorted(files, key=lambda file: (file.oldest, file.path)):
        if file.bytes < SMALL * target_bytes and file.rows < target_rows:
            partitions.setdefault(file.partition, []).append(file)
    found: list[list[File]] = []
    for small in partitions.values():
        current: list[File] = []
        for file in small:
            current.append(file)
            full = sum(one.bytes for one in current) >= target_bytes
            if full or sum(one.rows for one in current) >= target_rows:
                found.append(current)
                current = []
        found.append(current)
    return [one for one in found if len(one) > 1]


def expirable(commits: Sequence[Commit], heads: Collection[int], before: int) -> list[int]:
    """Snapshots made before a time (ms) that no branch or tag names and no branch's positions are read from.

    Positions are read from the nearest ancestor that tells them: it and all above it stay.
    """
    known = {commit.id: commit for commit in commits}
    kept = set(heads)
    for head in heads:
        walked: list[int] = []
        commit = known.get(head)
        while commit is not None and not commit.tells:
            walked.append(commit.id)
            commit = known.get(commit.parent) if commit.parent is not None else None
        if commit is not None:
            kept.update(walked, [commit.id])
    return [commit.id for commit in commits if commit.at < before and commit.id not in kept]


def orphans(
    listed: Mapping[str, datetime],
    needed: Collection[str],
    before: datetime,
    since: datetime = EVER,
    known: Collection[str] = (),
) -> list[str]:
    """Files last written before a time that nothing needs. A younger one may be of a running commit.

    What was written before the location was ours (`since`) may be another's, unless the table has named it
    (`known`).
    """
    return sorted(
        path
        for path, written in listed.items()
        if written < before and path not in needed and (written >= since or path in known)
    )
