"""Maintenance: compact, expire snapshots, remove orphans, audit, per table. Safe to kill and to repeat.

The result of every step is logged when it ends. A failed step stops neither the audit nor other tables.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from k2stream.iceberg import owner
from k2stream.iceberg.maintenance import compact, expire, log, orphans
from k2stream.iceberg.maintenance.log import AuditVerdict, Entry, Status
from k2stream.iceberg.owner import Claim
from k2stream.iceberg.tables import TABLES
from k2stream.model.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most rows in memory, and the ages in s at which snapshots and unused files are removed."""

    compact_rows: int
    snapshot_seconds: float
    orphan_seconds: float


Audit = Callable[[str], AuditVerdict]


class _Outcome(NamedTuple):
    detail: str = ""
    status: Status = "OK"
    rows: int | None = None
    sizes: tuple[int, int, int, int] | None = None  # files before and after, bytes before and after


def names_of(wanted: Sequence[str]) -> list[str]:
    """The named tables, with or without namespace; all when none is named. Raises ConfigError."""
    known = [*TABLES, log.NAME]
    found = [name if "." in name else f"cold.{name}" for name in wanted]
    for name in found:
        if name not in known:
            raise ConfigError(f"{name} is not a table of the cold tier; use one of {', '.join(known)}")
    return found or known


def maintain(catalog: Catalog, names: Sequence[str], limits: Limits, audit: Audit) -> Iterator[Entry]:
    """Run all steps for the tables; yields and logs the entry of each as it ends."""
    for name in names:
        if name != log.NAME:
            for entry in _table(catalog, name, limits, audit):
                yield from _logged(catalog, [entry])
    if log.NAME in names:
        log.ensure(catalog)
        # In one commit, because each commit adds a small file.
        yield from _logged(catalog, list(_table(catalog, log.NAME, limits, None)))


def _logged(catalog: Catalog, entries: list[Entry]) -> Iterator[Entry]:
    yield from entries
    started = datetime.now(UTC)
    try:
        log.append(catalog, entries)
    except Exception as error:
        logger.error("%s: cannot be written: %s", log.NAME, _line(error))
        yield Entry(log.NAME, "log", started, 0.0, 0, 0, 0, 0, 0, "ERROR", _line(error))


def _table(catalog: Catalog, name: str, limits: Limits, audit: Audit | None) -> Iterator[Entry]:
    load = partial(owner.own, catalog, name)
    order = log.ORDER if name == log.NAME else TABLES[name].order
    known: set[str] = set()
    steps: dict[str, Callable[[], _Outcome]] = {
        "compact": lambda: _compact(load, order, limits),
        "expire": lambda: _expire(load, limits, known, owner.claim(catalog, load(), created=False)),
        "orphans": lambda: _orphans(load, limits, known, owner.claim(catalog, load(), created=False)),
    }
    for step, action in steps.items():
        entry = _run(load, name, step, action)
        yield entry
        if entry.status != "OK":
            break
    if audit is not None:
        yield _run(load, name, "audit", partial(_audit, audit, name))


def _run(load: Callable[[], Table], name: str, step: str, action: Callable[[], _Outcome]) -> Entry:
    started, began = datetime.now(UTC), time.monotonic()
    before = after = (0, 0, 0)
    try:
        before = after = _size(load())
        outcome = action()
        after = _size(load())
    except Exception as error:
        outcome = _Outcome(_line(error), "ERROR")
        logger.error("%s: %s failed: %s", name, step, outcome.detail, extra={"table": name})
        logger.debug("%s: %s failed", name, step, exc_info=True)
    if outcome.status == "MISSING":
        logger.error("%s: %s: %s", name, step, outcome.detail, extra={"table": name})
    sizes = outcome.sizes or (before[0], after[0], before[1], after[1])
    rows = after[2] if outcome.rows is None else outcome.rows
    seconds = round(time.monotonic() - began, 3)
    return Entry(name, step, started, seconds, *sizes, rows, outcome.status, outcome.detail)


def _compact(load: Callable[[], Table], order: Sequence[str], limits: Limits) -> _Outcome:
    compact.compact(load, order, limits.compact_rows)
    return _Outcome()


def _expire(load: Callable[[], Table], limits: Limits, known: set[str], claim: Claim) -> _Outcome:
    table = load()
    count = len(table.snapshots())
    if not claim.taken and any(snapshot.timestamp_ms < claim.since for snapshot in table.snapshots()):
        known |= orphans.needed(table)
    gone = expire.expire(load, _ms(_ago(limits.snapshot_seconds)))
    return _Outcome(f"{gone} of {count} snapshots expired")


def _orphans(load: Callable[[], Table], limits: Limits, known: set[str], claim: Claim) -> _Outcome:
    found = orphans.find(load, _ago(limits.orphan_seconds), _time(claim), known)
    orphans.remove(load(), found.orphans)
    sizes = (found.files, found.files - len(found.orphans), found.bytes, found.bytes - found.orphan_bytes)
    return _Outcome(f"{len(found.orphans)} orphans removed", sizes=sizes)


def _audit(audit: Audit, name: str) -> _Outcome:
    verdict = audit(name)
    return _Outcome(verdict.detail, verdict.status, verdict.rows)


def plan(catalog: Catalog, names: Sequence[str], limits: Limits) -> Iterator[tuple[str, str, str]]:
    """What `maintain` would do now, as (table, step, text); changes nothing and audits nothing."""
    for name in names:
        if not catalog.table_exists(name):
            yield name, "", "does not exist yet"
            continue
        load = partial(owner.own, catalog, name)
        table = load()
        bins = compact.planned(table, limits.compact_rows)
        yield name, "compact", f"{sum(map(len, bins))} files into {len(bins)}"
        snapshots = expire.planned(table, _ms(_ago(limits.snapshot_seconds)))
        yield name, "expire", f"{len(snapshots)} of {len(table.snapshots())} snapshots"
        found = orphans.find(
            load, _ago(limits.orphan_seconds), _time(owner.claim(catalog, table, created=False))
        )
        yield name, "orphans", f"{len(found.orphans)} of {found.files} files, {found.orphan_bytes:,} bytes"


def _size(table: Table) -> tuple[int, int, int]:
    """The number of live files, their bytes and their rows."""
    files = [task.file for task in table.scan().plan_files()]
    return (
        len(files),
        sum(file.file_size_in_bytes for file in files),
        sum(file.record_count for file in files),
    )


def _time(claim: Claim) -> datetime:
    return datetime.fromtimestamp(claim.since / 1000, UTC)


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
