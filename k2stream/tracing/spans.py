"""The spans of the sampled trades of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.tracing.ids import is_sampled, seed, span_id, trace_ids

FIRST = "ingest"
"""The stage whose span is the parent of all others: from the socket to the raw topic."""


class Traced(NamedTuple):
    """Columns of trades: `key` indexes `keys` ("exchange:BASE/QUOTE"); partition and offset are raw ones."""

    keys: Sequence[str]
    key: NDArray[np.int64]
    partition: NDArray[np.int64]
    offset: NDArray[np.int64]


def traced(keys: Sequence[bytes], partition: int, offset: NDArray[np.int64]) -> Traced:
    """Trades of one raw partition, with the key of each."""
    index = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return Traced(
        [key.decode() for key in index],
        np.fromiter(map(index.__getitem__, keys), np.int64, len(keys)),
        np.full(len(keys), partition),
        offset,
    )


class StageSpan(NamedTuple):
    """A trade in a stage, from `start` to `end` (µs since 1970); `parent` is 0 for the first stage."""

    stage: str
    trace_id: int
    span_id: int
    parent: int
    start: int
    end: int
    exchange: str
    symbol: str
    partition: int
    offset: int


class Tracer:
    """Hands the spans of one trade in `one_in` to `export`."""

    def __init__(self, one_in: int, export: Callable[[Sequence[StageSpan]], None]) -> None:
        self._one_in, self._export = one_in, export

    def passed(
        self, stage: str, trades: Traced, start: NDArray[np.int64], end: NDArray[np.int64] | int
    ) -> None:
        """Trades passed a stage, each from `start` to `end` (µs since 1970), or all until one `end`."""
        if not len(trades.key):
            return
        exchanges = [key.partition(":")[0] for key in trades.keys]
        seeds = np.array([_seed(name) for name in exchanges], np.uint64)[trades.key]
        high, low = trace_ids(seeds, trades.partition, trades.offset)
        rows = np.flatnonzero(is_sampled(high, self._one_in)).tolist()
        if not rows:
            return
        ends = np.broadcast_to(end, start.shape)
        self._export(
            [
                _span(stage, (int(high[row]), int(low[row])), (int(start[row]), int(ends[row])), trades, row)
                for row in rows
            ]
        )


_seed = cache(seed)  # of exchanges, which are few


def _span(stage: str, ids: tuple[int, int], times: tuple[int, int], trades: Traced, row: int) -> StageSpan:
    exchange, _, symbol = trades.keys[trades.key[row]].partition(":")
    start, end = times
    return StageSpan(
        stage,
        trace_id=ids[0] << 64 | ids[1],
        span_id=span_id(*ids, stage),
        parent=0 if stage == FIRST else span_id(*ids, FIRST),
        start=start,
        end=max(start, end),  # clocks of several machines
        exchange=exchange,
        symbol=symbol,
        partition=int(trades.partition[row]),
        offset=int(trades.offset[row]),
    )
