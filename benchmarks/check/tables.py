"""Tables of trades and candles: of the ClickHouse chain, which exports them, and of K2's sinks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks import load
from benchmarks.check.candles import AMOUNTS, Revision
from benchmarks.check.truth import Window
from benchmarks.check.verdict import Verdict

SILVER, CANDLES = "silver.parquet", "candles.parquet"
EXPORTS = "*.parquet"


def trades(what: str, rows: pa.Table, loaded: load.Load) -> Verdict:
    """Every row against the trade of its id: sequence, symbol, price, quantity, sold, time_us."""
    trades = load.generate(loaded)
    trades = trades.rows(np.argsort(trades.id))
    found = _integers(rows["sequence"])
    at = np.searchsorted(trades.id, found).clip(max=len(trades.id) - 1)
    codes = {name: code for code, name in enumerate(trades.names)}
    names = rows["symbol"].combine_chunks().dictionary_encode()
    symbol = np.array([codes.get(name, -1) for name in names.dictionary.to_pylist()], np.int64)
    pairs = (
        (found, trades.id),
        (symbol[names.indices.to_numpy()], trades.symbol),
        (_units(rows["price"], load.PRICE_DIGITS), trades.price),
        (_units(rows["quantity"], load.QUANTITY_DIGITS), trades.quantity),
        (_integers(rows["sold"]), trades.buyer_is_maker),
        (_integers(rows["time_us"]), trades.time_ms * 1000),
    )
    same = np.logical_and.reduce([ours == theirs[at] for ours, theirs in pairs])
    right = len(np.unique(found[same]))
    return Verdict(
        what,
        right,
        wrong=int(np.count_nonzero(~same)),
        missing=len(trades.id) - right,
        twice=int(np.count_nonzero(same)) - right,
    )


def _integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return column.to_numpy().astype(np.int64)


def _units(column: pa.ChunkedArray, digits: int) -> NDArray[np.int64]:
    """Decimals as integers of so many fraction digits; ArrowInvalid when they have more."""
    values = column.cast(pa.decimal128(38, 18)).cast(pa.decimal128(38, digits)).combine_chunks()
    words = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, 2)
    return words[values.offset : values.offset + len(values), 0]


def candles(path: Path) -> list[Revision]:
    """The 1m candles."""
    return [
        Revision(
            Window(f"{row['exchange']}:{row['canonical_symbol']}", "1m", row["open_ms"]),
            {name: Fraction(row[name]) for name in AMOUNTS} | {"trade_count": row["trade_count"]},
        )
        for row in pq.read_table(path).to_pylist()
    ]
