"""Compares the rows that a replay wrote with those of a live layer (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from k2stream.candles.state import State
from k2stream.model.comparison import Comparison
from k2stream.replay.places import Source

KEY = "_key"
"""The column that identifies rows to compare."""

ALL = 1 << 62
"""A bound that excludes nothing."""

LISTED = 10
"""Rows listed per kind of difference; the rest is only counted."""


def rows(layer: Comparison, fresh: pa.Table, live: pa.Table, say: Callable[[Any], str]) -> None:
    """Compare all columns of rows with the same KEY; `say` returns the name of a key."""
    at = pc.index_in(live[KEY], value_set=fresh[KEY].combine_chunks())
    extra = live[KEY].filter(pc.is_null(at)).to_pylist()
    live, at = live.filter(pc.is_valid(at)), at.drop_null().to_numpy()
    times = np.bincount(at, minlength=len(fresh))
    missing, doubled = (fresh[KEY].filter(pa.array(wrong)).to_pylist() for wrong in (times == 0, times > 1))
    fresh = fresh.take(pa.array(at))
    differing = np.flatnonzero(_unequal(fresh, live))
    layer.compared += int((times > 0).sum())
    layer.rows("missing", [say(key) for key in missing[:LISTED]], len(missing))
    layer.rows("surplus", [say(key) for key in extra[:LISTED]], len(extra))
    layer.rows("doubled", [say(key) for key in doubled[:LISTED]], len(doubled))
    for row in differing[:LISTED].tolist():
        rebuilt, kept = _row(fresh, row), _row(live, row)
        layer.values(say(rebuilt.pop(KEY)), rebuilt, kept)
    layer.rows("different", (), max(len(differing) - LISTED, 0))


def _row(rows: pa.Table, number: int) -> dict[str, Any]:
    (row,) = rows.slice(number, 1).to_pylist()
    return dict(row)


def _unequal(a: pa.Table, b: pa.Table) -> NDArray[np.bool_]:
    found = np.zeros(len(a), np.bool_)
    for name in a.column_names:
        left, right = a[name], b[name]
        if left.equals(right):
            continue
        if pa.types.is_nested(left.type):
            pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
            found |= np.fromiter((one != other for one, other in pairs), np.bool_, len(a))
        else:
            by_null = pc.xor(pc.is_null(left), pc.is_null(right))
            found |= pc.coalesce(pc.not_equal(left, right), by_null).to_numpy().astype(np.bool_)
    return found


def bounded(bounds: Mapping[Source, int], exchange: str, partition: int) -> int:
    """The raw offset where a source's comparison ends; sources without a bound are compared completely."""
    return bounds.get((exchange, partition), ALL)


def same_window(rebuilt: State, found: State) -> bool:
    """Whether two states have the same trades; the clock may have closed the live window, not opened it."""
    alike = msgspec.structs.replace(found, final=rebuilt.final) == rebuilt
    return alike and found.final >= rebuilt.final


def entries(
    layer: Comparison,
    rebuilt: Mapping[Any, Any],
    found: Mapping[Any, Any],
    *,
    moved: Callable[[Any, Any], bool],
    behind: Callable[[Any, Any], bool],
    needed: Callable[[Any], bool] = lambda key: True,
    same: Callable[[Any, Any], bool] = lambda a, b: bool(a == b),
    say: Callable[[Any], str] = str,
) -> None:
    """Compare a table's entries by key.

    `moved`: whether the worker has applied records to a live entry that the replay does not cover. `behind`:
    whether a live entry (None for none) may still become the rebuilt one. `needed`: whether the table must
    have a key. `same`: whether entries are equal.
    """
    for key, value in rebuilt.items():
        kept = found.get(key)
        if kept is None and not needed(key):
            continue
        if (kept is not None and moved(key, kept)) or behind(kept, value):
            layer.newer += 1
        elif kept is None:
            layer.rows("missing", [say(key)])
        else:
            layer.compared += 1
            if not same(value, kept):
                layer.values(say(key), _fields(value), _fields(kept))
    for key in found.keys() - rebuilt.keys():
        if moved(key, found[key]):
            layer.newer += 1
        else:
            layer.rows("surplus", [say(key)])


def _fields(value: Any) -> dict[str, Any]:
    return dict(value._asdict() if hasattr(value, "_asdict") else msgspec.structs.asdict(value))
