"""The trades of a batch by symbol and numbering."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2stream.model.trade import AHEAD_US, TradeColumns
from k2stream.normalizer.continuity import content, recent
from k2stream.normalizer.continuity.content import Hashes

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """The trades of one symbol and numbering: `rows` of the batch, ascending, and columns of them.

    `first` and `last` are the ids that an aggregated trade stands for. `time` is that of the trade, at most
    AHEAD_US beyond its receive time, and 0 of one that is not usable; `ahead`: it was cut. `hashes` are of
    the numbers, `pairs` of identity and all content.
    """

    symbol: str
    numbering: str
    aggregated: bool
    rows: Rows
    number: Rows
    first: Rows
    last: Rows
    stamp: Rows
    time: Rows
    ahead: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    hashes: Hashes
    pairs: recent.Pairs


def groups(columns: TradeColumns, usable: NDArray[np.bool_], hashes: Hashes) -> Iterator[Group]:
    """All of a batch, by first appearance."""
    number, stamp, received = (
        np.array(values, np.int64) for values in (columns.sequence, columns.timestamp, columns.receive_time)
    )
    first, last = (np.array(values or columns.sequence, np.int64) for values in (columns.first, columns.last))
    time = np.where(usable, np.minimum(stamp, received + AHEAD_US), 0)
    said = content.timed(hashes, stamp)
    for symbol, numbering, rows in _rows(columns):
        aggregated = bool(numbering and columns.first)
        own = number[rows]
        yield Group(
            symbol,
            numbering,
            aggregated,
            rows,
            own,
            first[rows],
            last[rows],
            stamp[rows],
            time[rows],
            stamp[rows] > received[rows] + AHEAD_US,
            usable[rows],
            hashes[rows],
            recent.pairs(
                content.identity(first[rows], last[rows]) if aggregated else own.astype(np.uint64), said[rows]
            ),
        )


def _rows(columns: TradeColumns) -> list[tuple[str, str, Rows]]:
    """Row numbers of each (symbol, numbering), ascending."""
    if not len(columns):
        return []
    names: list[tuple[str, str]]
    if columns.numbering:
        pairs = list(zip(columns.symbol, columns.numbering, strict=True))
        names = list(dict.fromkeys(pairs))
        code = dict(zip(names, range(len(names)), strict=True))
        codes = np.fromiter(map(code.__getitem__, pairs), np.int32, len(columns))
    else:
        symbols = list(dict.fromkeys(columns.symbol))
        names = [(symbol, "") for symbol in symbols]
        index = dict(zip(symbols, range(len(symbols)), strict=True))
        codes = np.fromiter(map(index.__getitem__, columns.symbol), np.int32, len(columns))
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return [(*name, rows) for name, rows in zip(names, np.split(order, ends[:-1]), strict=True)]
