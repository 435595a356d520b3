"""Compares what was found with what is expected (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2stream.iceberg.maintenance.log import AuditVerdict
from k2stream.model.comparison import SUMMARISED, Comparison, Difference

Source = tuple[str, int]
"""An exchange and a raw partition, in which raw offsets rise."""

Offsets = Mapping[Source, NDArray[np.int64]]
Candles = Mapping[tuple[str, str, Any], Sequence[Any]]
"""All columns of a candle, by exchange, canonical symbol and open time."""

_SHOWN = SUMMARISED + 1
_NONE = np.empty(0, np.int64)


def verdict(result: Comparison, rows: int) -> AuditVerdict:
    """OK without differences, MISSING with a missing row, else ERROR."""
    if not result.total:
        return AuditVerdict("OK", rows, "")
    return AuditVerdict("MISSING" if result.counts["missing"] else "ERROR", rows, result.summary())


def trades(result: Comparison, expected: Offsets, found: Offsets, *, all_known: bool) -> Comparison:
    """Compare trades by raw offset; unexpected rows are differences only if `all_known` are expected."""
    for source in sorted(expected.keys() | found.keys()):
        wanted, rows = np.unique(expected.get(source, _NONE)), found.get(source, _NONE)
        once, times = np.unique(rows, return_counts=True)
        missing, surplus = np.setdiff1d(wanted, once, True), np.setdiff1d(once, wanted, True)
        result.rows("missing", _records(source, missing), len(missing))
        result.rows("doubled", _records(source, once[times > 1]), len(rows) - len(once))
        if all_known:
            result.rows("surplus", _records(source, surplus), len(surplus))
    return result


def partitions(result: Comparison, cold: Mapping[str, int], hot: Mapping[str, int]) -> None:
    """Compare the number of rows per Iceberg partition in both tiers."""
    for name in sorted(cold.keys() | hot.keys()):
        ours, theirs = cold.get(name, 0), hot.get(name, 0)
        if ours < theirs:
            result.rows("missing", [f"{theirs - ours} rows of partition {name} that ClickHouse has"])
        elif ours > theirs:
            result.add([Difference(result.layer, f"partition {name}", "number of rows", theirs, ours)])


def candles(
    result: Comparison, cold: Candles, hot: Candles, pending: Collection[Any], columns: Sequence[str]
) -> None:
    """Compare candles by value, except those with records that one of the tiers has not received yet."""
    for key in sorted((cold.keys() | hot.keys()) - set(pending)):
        if key not in cold:
            result.rows("missing", [_name(key)])
        elif key not in hot:
            result.add([Difference(result.layer, _name(key), "in ClickHouse", "present", "absent")])
        elif cold[key] != hot[key]:
            theirs, ours = (dict(zip(columns, row[key], strict=True)) for row in (hot, cold))
            result.values(_name(key), theirs, ours)


def _records(source: Source, offsets: NDArray[np.int64]) -> list[str]:
    """The names of the first offsets."""
    return [f"{source[0]}[{source[1]}] offset {offset}" for offset in offsets[:_SHOWN].tolist()]


def _name(key: tuple[str, str, Any]) -> str:
    return f"{key[0]} {key[1]} {key[2]:%Y-%m-%d %H:%M}"
