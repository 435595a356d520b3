"""Candles of windows that the tables no longer have, from all trades that the platform holds of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from k2stream import clock, decimals, topics
from k2stream.avro import registry
from k2stream.avro.candles import encode
from k2stream.backfill.span import Span
from k2stream.candle import TIMEFRAMES
from k2stream.candles.fold import fold
from k2stream.candles.state import State, closed, to_row
from k2stream.candles.watermark import admit
from k2stream.cold import writer
from k2stream.cold.catalog import open_catalog
from k2stream.feed import Columns
from k2stream.instruments import Instrument
from k2stream.reading import Reader
from k2stream.settings import Settings
from k2stream.sinks import silver
from k2stream.sinks.progress import Partition, Position
from k2stream.sinks.schema import SILVER
from k2stream.trade import BACKFILLED, Decimals, HotTrades

_DAY_US = TIMEFRAMES["1d"] * 1000
_AT_ONCE = 1000  # candles

COLUMNS = (
    *("timestamp", "receive_time", "price", "quantity", "side", "sequence"),
    *("raw_partition", "raw_offset", "trade_count", "trade_conditions"),
)


class Publisher(Protocol):
    """Returns when the records are durable."""

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None: ...


async def recompute(settings: Settings, instrument: Instrument, span: Span, publisher: Publisher) -> int:
    """Publish the span's candles that are older than what the tables keep, final; how many.

    A candle says what the tables would have said: it is equal where they had all trades, and of a higher
    revision where some were fetched since.
    """
    days = Span(span.start // _DAY_US * _DAY_US, -(-span.end // _DAY_US) * _DAY_US)
    partition = topics.partition_of(instrument.symbol, settings.raw_partitions(instrument.exchange))
    trades = hot_trades(instrument.key, await held(settings, instrument, partition, days))
    count = 0
    for timeframe, windows in forgotten(trades, span, settings.candle_retention, settings.grace_seconds):
        schema_id = await registry.register(topics.ohlcv(timeframe), "candle", settings.registry_url)
        for begin in range(0, len(windows), _AT_ONCE):
            column = _column(instrument, timeframe, windows[begin : begin + _AT_ONCE], schema_id)
            await publisher.publish({(topics.ohlcv(timeframe), partition): column})
        count += len(windows)
    return count


def forgotten(
    trades: HotTrades, span: Span, retention: int, grace_seconds: float
) -> Iterator[tuple[str, Sequence[tuple[int, State]]]]:
    """By timeframe, windows that meet the span and that tables may have dropped: open time (ms) and state.

    `trades` are all of one symbol from the beginning of the span's first day on. A window is dropped when
    there are `retention` newer ones that have closed; so long a time must have passed.
    """
    if not len(trades):
        return
    grace = int(grace_seconds * 1e6)
    admission = admit(trades, lambda key: None, grace)
    rows = admission.rows[trades.timestamp[admission.rows] < -(-span.end // _DAY_US) * _DAY_US]
    newest = int(trades.timestamp.max())
    for timeframe, partials in fold(trades, rows):
        length = TIMEFRAMES[timeframe] * 1000
        passed = newest - max(retention * length, length + grace)
        yield (
            timeframe,
            [
                (opened, closed(state))
                for _, opened, state in partials
                if span.start - length < opened * 1000 < span.end and opened * 1000 <= passed
            ],
        )


def _column(
    instrument: Instrument, timeframe: str, windows: Sequence[tuple[int, State]], schema_id: int
) -> Columns:
    column = Columns()
    for opened, state in windows:
        row = to_row(state, instrument.key, instrument.symbol, timeframe, opened)
        column.append(instrument.key.encode(), encode(row, schema_id), state.receive_time)
    return column


async def held(settings: Settings, instrument: Instrument, partition: int, span: Span) -> pa.Table:
    """COLUMNS of a symbol's trades from the span's start on, in raw order, each once.

    From the cold tier up to where it is, then from the canonical topic. What is later than the span is read
    because it may be what made a trade of the span late.
    """
    cold, position = await asyncio.to_thread(_cold, open_catalog(settings), instrument, partition, span)
    parts = [cold] if cold is not None else []
    key = instrument.key.encode()
    async with Reader(settings, columnar=True) as reader:
        begin, end = (await reader.held(topics.NORMALIZED, settings.normalized_partitions))[partition]
        stretch = {partition: (max(begin, position + 1), end)}
        async for batch in reader.read(topics.NORMALIZED, stretch):
            registry.look_up(batch.values, settings.registry_url)
            rows = silver.columns(batch)
            rows = rows.filter(pa.array([name == key for name in batch.keys]))
            parts.append(_plain(rows.select(COLUMNS)))
    rows = pa.concat_tables(parts) if parts else None
    if rows is None or not len(rows):
        return _plain(SILVER.empty_table().select(COLUMNS))
    _, first = np.unique(rows["raw_offset"].to_numpy(), return_index=True)
    rows = rows.take(pa.array(first))
    return rows.filter(pa.array(_micros(rows, "timestamp") >= span.start))


def _cold(
    catalog: Catalog, instrument: Instrument, partition: int, span: Span
) -> tuple[pa.Table | None, int]:
    """Rows of the cold tier, and the last offset of the canonical topic that it holds."""
    try:
        table = catalog.load_table("cold.silver_trades")
    except NoSuchTableError:
        return None, -1
    position = writer.positions(table).get(Partition(topics.NORMALIZED, partition), Position()).offset
    since = clock.spoken(span.start // 1000).replace(" ", "T")
    where = (
        f"exchange == '{instrument.exchange}' and canonical_symbol == '{instrument.canonical}' "
        f"and timestamp >= '{since}+00:00'"
    )
    return _plain(table.scan(row_filter=where, selected_fields=COLUMNS).to_arrow().select(COLUMNS)), position


def _plain(rows: pa.Table) -> pa.Table:
    """The same types from both sources."""
    kinds = {field.name: field.type for field in SILVER}
    kinds["side"] = pa.string()
    return rows.cast(pa.schema([(name, kinds[name]) for name in COLUMNS]))


def hot_trades(key: str, rows: pa.Table) -> HotTrades:
    """Rows of one symbol as what candles are folded from."""
    conditions = rows["trade_conditions"]

    def backfilled(wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.array([BACKFILLED in (conditions[row].as_py() or ()) for row in wanted.tolist()], np.bool_)

    def numbers(name: str) -> NDArray[np.int64]:
        return np.asarray(rows[name].cast(pa.int64()).to_numpy())

    return HotTrades(
        keys=[key],
        key=np.zeros(len(rows), np.int64),
        timestamp=_micros(rows, "timestamp"),
        receive_time=_micros(rows, "receive_time"),
        price=_decimals(rows["price"]),
        quantity=_decimals(rows["quantity"]),
        taker_buy=np.array(rows["side"].to_pylist()) == "BUY",
        sequence=numbers("sequence"),
        raw_partition=numbers("raw_partition"),
        raw_offset=numbers("raw_offset"),
        trade_count=numbers("trade_count"),
        backfilled=backfilled,
    )


def _micros(rows: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(rows[name].cast(pa.int64()).to_numpy())


def _decimals(column: Any) -> Decimals:
    """decimal128(38, 18) as scaled integers: Arrow's words reversed are Avro's bytes."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    data = array.buffers()[1]
    fixed = np.frombuffer(data, np.uint8).reshape(-1, 16) if data else np.zeros((0, 16), np.uint8)
    fixed = fixed[array.offset : array.offset + len(array)]
    return decimals.from_fixed16(np.ascontiguousarray(fixed[:, ::-1]))
