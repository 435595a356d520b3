"""The input of nautilus_trader's data wranglers, as its CSV and Parquet loaders read it."""

from __future__ import annotations

import pyarrow as pa

from k2stream.export.layout import TEXT, FileLayout, Subject
from k2stream.read.columns import floats, texts

_UNITS = {"m": "MINUTE", "h": "HOUR", "d": "DAY", "w": "WEEK", "M": "MONTH"}
_NANOSECONDS = pa.timestamp("ns", "UTC")


def _file_name(subject: Subject) -> str:
    """Named as the bar type: BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL."""
    instrument, timeframe = subject
    venue = f"{instrument.canonical.replace('/', '')}.{instrument.exchange.upper()}"
    if timeframe is None:
        return f"{venue}-trades"
    return f"{venue}-{timeframe.count}-{_UNITS[timeframe.unit]}-LAST-EXTERNAL"


def _candles(rows: pa.Table, form: str) -> pa.Table:
    """A bar's timestamp is the end of its window, as the wrangler expects: it is known from then on."""
    ends = pa.array([end + 1 for end in rows["close_time"].cast(pa.int64()).to_pylist()], pa.int64())
    columns = {"timestamp": ends.cast(pa.timestamp("ms", "UTC")).cast(_NANOSECONDS)}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = _numbers(rows[name], form)
    return pa.table(columns)


def _trades(rows: pa.Table, form: str) -> pa.Table:
    return pa.table(
        {
            "timestamp": rows["timestamp"].cast(_NANOSECONDS),
            "trade_id": rows["trade_id"],
            "price": _numbers(rows["price"], form),
            "quantity": _numbers(rows["quantity"], form),
            "side": rows["side"].cast(pa.string()),
        }
    )


def _numbers(decimals: pa.ChunkedArray, form: str) -> pa.Array:
    whole = decimals.combine_chunks()
    return texts(whole) if form in TEXT else floats(whole)


LAYOUT = FileLayout("nautilus", ("parquet", "csv"), "float", _file_name, _candles, _trades)
