"""Groups the trades of a batch by symbol and numbering.

Where a symbol has trades of several numberings, they are one group per run of the same numbering: what an
aggregated trade stands for depends on the plain trades before it, and the other way round.
"""

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
    """Trades of one symbol and numbering, as columns; `rows` are their rows in the batch, ascending.

    `number` is the trade's own id, `first` and `last` the ids that an aggregated trade covers. `stamp` is the
    trade time (µs); `time` is the same, limited to AHEAD_US after receipt (`ahead`: the limit applied), and 0
    for unusable trades. `hashes` cover price, quantity and side, `pairs` identity and full content.
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
    """The groups of a batch: in order of the symbols' first appearance, those of a symbol in row order."""
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
    """The rows of each symbol's runs of one numbering, ascending."""
    if not len(columns):
        return []
    symbols, parts = _split(columns.symbol)
    if not columns.numbering:
        return [(symbol, "", rows) for symbol, rows in zip(symbols, parts, strict=True)]
    numberings, code = _coded(columns.numbering)
    return [
        (symbol, numberings[code[run[0]]], run)
        for symbol, rows in zip(symbols, parts, strict=True)
        for run in np.split(rows, np.flatnonzero(np.diff(code[rows])) + 1)
    ]


def _split(texts: list[str]) -> tuple[list[str], list[Rows]]:
    """The different texts, and the rows of each."""
    names, codes = _coded(texts)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return names, np.split(order, ends[:-1])


def _coded(texts: list[str]) -> tuple[list[str], NDArray[np.int32]]:
    """The different texts, and the index of each one's."""
    names = list(dict.fromkeys(texts))
    index = dict(zip(names, range(len(names)), strict=True))
    return names, np.fromiter(map(index.__getitem__, texts), np.int32, len(texts))
