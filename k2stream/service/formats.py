"""Candles in the formats other than JSON objects: bytes, exact (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

import msgspec
from litestar.params import QueryParameter

from k2stream.model.candle import Candle
from k2stream.model.decimals import plain
from k2stream.service.mirror.klines import kline
from k2stream.web import render

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"

CandleFormat = Annotated[
    Literal["json", "binance", "ccxt", "csv", "arrow"],
    QueryParameter(
        name="format",
        description="`json`, kline arrays as `binance` or `ccxt` has them, `csv`, or an Arrow IPC stream.",
    ),
]

_COLUMNS = tuple(name for name in Candle._fields if name not in ("raw_partition", "raw_offset"))


def klines(candles: Sequence[Candle]) -> bytes:
    """Arrays of twelve, as the mirror answers them; the last element is of no use."""
    return msgspec.json.encode(list(map(kline, candles)))


def csv(candles: Sequence[Candle]) -> bytes:
    """A line with the names of the columns, then one per candle; times as in Candle, decimals exact."""
    lines = [",".join(_COLUMNS)]
    lines += (",".join(map(_text, (getattr(candle, name) for name in _COLUMNS))) for candle in candles)
    return "\r\n".join([*lines, ""]).encode()


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def arrow(candles: Sequence[Candle]) -> bytes:
    """An Arrow IPC stream with the columns of the gold tables, decimals as decimal128(38, 18)."""
    import pyarrow as pa  # large: imported on first use

    from k2stream.layers.candle_rows import candle_rows

    rows = candle_rows(candles)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


class Format(NamedTuple):
    """How candles are written, and the media type of it."""

    media_type: str
    write: Callable[[Sequence[Candle]], bytes]

    @property
    def content_type(self) -> str:
        """The media type as the header has it: text is in UTF-8."""
        return f"{self.media_type}; charset=utf-8" if self.media_type.startswith("text/") else self.media_type


WRITTEN = {
    "binance": Format(JSON, klines),
    "ccxt": Format(JSON, render.ccxt),
    "csv": Format(CSV, csv),
    "arrow": Format(ARROW, arrow),
}
"""The formats that cannot say more than the candles themselves: headers have the rest."""
