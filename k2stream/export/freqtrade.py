"""The layout of freqtrade's data folder: BTC_USDT-1m.feather, BTC_USDT-trades.feather."""

from __future__ import annotations

from decimal import Context

import pyarrow as pa

from k2stream.export.layout import TEXT, FileLayout, Subject
from k2stream.read.columns import floats, texts

_EXACT = Context(prec=76)
_SEPARATORS = str.maketrans(dict.fromkeys("/ .@$+:", "_"))


def _file_name(subject: Subject) -> str:
    pair = subject.instrument.canonical.translate(_SEPARATORS)
    timeframe = subject.timeframe
    return f"{pair}-{timeframe.name.replace('M', 'Mo')}" if timeframe else f"{pair}-trades"


def _candles(rows: pa.Table, form: str) -> pa.Table:
    columns = {"date": rows["open_time"].cast(pa.int64()) if form in TEXT else rows["open_time"]}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = _numbers(rows[name], form)
    return pa.table(columns)


def _trades(rows: pa.Table, form: str) -> pa.Table:
    pairs = zip(rows["price"].to_pylist(), rows["quantity"].to_pylist(), strict=True)
    cost = pa.array([_EXACT.multiply(*pair) for pair in pairs], pa.decimal256(76, 36))
    return pa.table(
        {
            "timestamp": pa.array(rows["timestamp"].cast(pa.timestamp("ms", "UTC"), safe=False)).cast(
                pa.int64()
            ),
            "id": rows["trade_id"],
            "type": pa.nulls(len(rows), pa.string()),
            "side": pa.array([side.lower() for side in rows["side"].to_pylist()], pa.string()),
            "price": _numbers(rows["price"], form),
            "amount": _numbers(rows["quantity"], form),
            "cost": _numbers(cost, form),
        }
    )


def _numbers(decimals: pa.ChunkedArray | pa.Array, form: str) -> pa.Array:
    whole = decimals.combine_chunks() if isinstance(decimals, pa.ChunkedArray) else decimals
    return texts(whole) if form in TEXT else floats(whole)


LAYOUT = FileLayout(
    "freqtrade", ("feather", "json", "parquet"), "float", _file_name, _candles, _trades, is_named=True
)
