"""What was found against what should be there (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.iceberg.maintenance.log import AuditVerdict, Problem

Source = tuple[str, int]
"""Exchange and raw partition: raw offsets rise in it."""

Offsets = Mapping[Source, NDArray[np.int64]]
Candles = Mapping[tuple[str, str, Any], Sequence[Any]]
"""All columns of a candle by exchange, canonical symbol and open time."""

_SHOWN = 3
_NONE = np.empty(0, np.int64)


def verdict(rows: int, problems: Sequence[Problem]) -> AuditVerdict:
    """OK without problems, MISSING with a missing row, else ERROR."""
    if not problems:
        return AuditVerdict("OK", rows, "")
    missing = any(problem.status == "MISSING" for problem in problems)
    return AuditVerdict(
        "MISSING" if missing else "ERROR", rows, "; ".join(problem.text for problem in problems)
    )


def trades(expected: Offsets, found: Offsets, *, all_known: bool) -> list[Problem]:
    """Trades by raw offset. Rows that are not expected are a problem only when all of them are known."""
    problems = []
    for source in sorted(expected.keys() | found.keys()):
        where = f"{source[0]} raw partition {source[1]}"
        wanted, held = np.unique(expected.get(source, _NONE)), found.get(source, _NONE)
        once = np.unique(held)
        missing, surplus = np.setdiff1d(wanted, once, True), np.setdiff1d(once, wanted, True)
        if len(missing):
            problems.append(
                Problem("MISSING", f"{where}: {len(missing)} rows are missing, offsets {_few(missing)}")
            )
        if len(held) > len(once):
            problems.append(
                Problem("ERROR", f"{where}: {len(held) - len(once)} rows are there more than once")
            )
        if all_known and len(surplus):
            problems.append(
                Problem("ERROR", f"{where}: {len(surplus)} rows are in no topic, offsets {_few(surplus)}")
            )
    return problems


def partitions(cold: Mapping[str, int], hot: Mapping[str, int]) -> list[Problem]:
    """Rows per Iceberg partition in both tiers."""
    return [
        Problem(
            "MISSING" if cold.get(name, 0) < hot.get(name, 0) else "ERROR",
            f"{name}: {cold.get(name, 0)} rows, ClickHouse has {hot.get(name, 0)}",
        )
        for name in sorted(cold.keys() | hot.keys())
        if cold.get(name, 0) != hot.get(name, 0)
    ]


def candles(cold: Candles, hot: Candles, pending: Collection[Any], columns: Sequence[str]) -> list[Problem]:
    """Candles by value, without those whose records one of the tiers has still to take in."""
    keys = sorted((cold.keys() | hot.keys()) - set(pending))
    missing = [key for key in keys if key not in cold]
    lacking = [key for key in keys if key not in hot]
    differing = [
        f"{_name(key)}: {column} is {ours}, in ClickHouse {theirs}"
        for key in keys
        if key in cold and key in hot
        for column, ours, theirs in zip(columns, cold[key], hot[key], strict=True)
        if ours != theirs
    ]
    problems = []
    if missing:
        problems.append(
            Problem("MISSING", f"{len(missing)} candles are missing: {_some(map(_name, missing))}")
        )
    if lacking:
        problems.append(
            Problem("ERROR", f"ClickHouse lacks {len(lacking)} candles: {_some(map(_name, lacking))}")
        )
    if differing:
        problems.append(Problem("ERROR", f"{len(differing)} values differ: {_some(differing)}"))
    return problems


def _few(offsets: NDArray[np.int64]) -> str:
    return _some(offsets[: _SHOWN + 1].tolist())


def _some(items: Any) -> str:
    texts = [str(item) for item in items]
    return ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")


def _name(key: tuple[str, str, Any]) -> str:
    return f"{key[0]} {key[1]} {key[2]:%Y-%m-%d %H:%M}"
