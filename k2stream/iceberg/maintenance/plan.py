"""Plans maintenance (pure): which files to merge, snapshots to expire, and files to delete as orphans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

EVER = datetime.fromtimestamp(0, UTC)
SMALL = 0.75
"""Files below this share of the target size are small."""


class File(NamedTuple):
    """A live data file; `oldest`, the lower bound of its times, gives the order."""

    path: str
    partition: tuple[object, ...]
    oldest: int
    bytes: int
    rows: int


class Commit(NamedTuple):
    """A snapshot made at `at` (ms since 1970); `tells`: whether it has the positions of the topics."""

    id: int
    parent: int | None
    at: int
    tells: bool


def bins(files: Iterable[File], target_bytes: int, target_rows: int) -> list[list[File]]:
    """Groups of small files to merge: per partition, oldest first, until a group reaches a target.

    Every group merges several files, so repeated merging ends, with at most one small file per partition.
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
    """Snapshots replaced before a time (ms) that neither a branch, a tag, nor a branch's positions need.

    Readers and writers begin with a snapshot until a commit replaces it, however old it is. One that no
    commit followed counts from when it was made. Positions are read from the nearest ancestor that has them:
    it and its descendants up to the head are kept.
    """
    known = {commit.id: commit for commit in commits}
    replaced = {commit.parent: commit.at for commit in sorted(commits, key=lambda commit: commit.at)}
    kept = set(heads)
    for head in heads:
        walked: list[int] = []
        commit = known.get(head)
        while commit is not None and not commit.tells:
            walked.append(commit.id)
            commit = known.get(commit.parent) if commit.parent is not None else None
        if commit is not None:
            kept.update(walked, [commit.id])
    return [
        commit.id
        for commit in commits
        if replaced.get(commit.id, commit.at) < before and commit.id not in kept
    ]


def orphans(
    listed: Mapping[str, datetime],
    needed: Collection[str],
    before: datetime,
    since: datetime = EVER,
    known: Collection[str] = (),
) -> list[str]:
    """Unneeded files last written before a time; younger ones may belong to a running commit.

    Files written before the location became ours (`since`) may be another catalog's, unless the table is
    known to have named them (`known`).
    """
    return sorted(
        path
        for path, written in listed.items()
        if written < before and path not in needed and (written >= since or path in known)
    )
