"""Reads the canonical trades of one symbol: from the cold table, and newer ones from the topic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from k2stream import faults, topics
from k2stream.avro import registry
from k2stream.backfill.span import TradeSpan
from k2stream.candles.watermark import event_time
from k2stream.iceberg import read
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.read import Table
from k2stream.kafka.reader import Reader
from k2stream.layers import silver
from k2stream.layers import table as layer_tables
from k2stream.layers.schema import SILVER
from k2stream.model import clock, decimals
from k2stream.model.instrument import Instrument
from k2stream.model.trade import BACKFILLED, CandleInput, Decimals
from k2stream.settings import IcebergSettings, Settings

COLUMNS = (
    *("timestamp", "receive_time", "price", "quantity", "side", "sequence"),
    *("raw_partition", "raw_offset", "trade_count", "trade_conditions"),
)


@dataclass(frozen=True, slots=True)
class Canonical:
    """The canonical trades of one symbol.

    `cold` is the cold table (None if it does not exist), `recent` has COLUMNS of the topic's later rows.
    `nowhere` are offsets that expired from the topic before they were written to the cold table.
    """

    instrument: Instrument
    cold: Table | None
    recent: pa.Table
    nowhere: range | None = None

    def newest(self, since: int) -> int:
        """Return the newest event time of trades from `since` on, in µs; 0 when there are none."""
        parts = [self.recent]
        if self.cold is not None:
            where = f"timestamp >= '{clock.iso(since // 1000)}'"
            parts.append(self._scan(("timestamp", "receive_time"), where))
        times = [event_time(_integers(part, "timestamp"), _integers(part, "receive_time")) for part in parts]
        return max((int(found.max()) for found in times if len(found)), default=0)

    def trades_in(self, span: TradeSpan) -> CandleInput:
        """Return a span's trades in raw order, and later ones that may have made a trade of the span late."""
        inside = self._rows(span.start, span.end)
        live = [
            offset
            for offset, names in zip(
                inside["raw_offset"].to_pylist(), inside["trade_conditions"].to_pylist(), strict=True
            )
            if BACKFILLED not in (names or ())
        ]
        later = self._rows(span.end, None, below=max(live)) if live else inside.slice(0, 0)
        rows = pa.concat_tables([inside, later])
        _, first = np.unique(rows["raw_offset"].to_numpy(), return_index=True)
        return hot_trades(self.instrument.key, rows.take(pa.array(first)))

    def _rows(self, start: int, end: int | None, below: int | None = None) -> pa.Table:
        """Read COLUMNS of trades in [start, end) µs, optionally only those with raw offsets below `below`."""
        times = _integers(self.recent, "timestamp")
        wanted = times >= start
        where = f"timestamp >= '{clock.iso(start // 1000)}'"
        if end is not None:
            wanted &= times < end
            where += f" and timestamp < '{clock.iso(end // 1000)}'"
        if below is not None:
            wanted &= self.recent["raw_offset"].to_numpy() < below
            where += f" and raw_offset < {below}"
        parts = [self.recent.filter(pa.array(wanted))]
        if self.cold is not None:
            parts.append(_plain(self._scan(COLUMNS, where)))
        return pa.concat_tables(parts)

    def _scan(self, columns: tuple[str, ...], where: str) -> pa.Table:
        assert self.cold is not None
        mine = (
            f"exchange == '{self.instrument.exchange}' and canonical_symbol == '{self.instrument.canonical}'"
        )
        return read.scan(self.cold, f"{mine} and {where}", columns)


async def canonical(settings: Settings, instrument: Instrument) -> Canonical:
    """Read all canonical trades of a symbol that are stored now."""
    mine = topics.partitions_of(instrument.symbol, settings.kafka.raw_partitions(instrument.exchange))
    cold, after = await asyncio.to_thread(_cold, settings.iceberg, mine)
    parts = [_plain(SILVER.empty_table().select(COLUMNS))]
    key = instrument.key.encode()
    async with Reader(settings.kafka, columnar=True) as reader:
        retained = await reader.retained(topics.NORMALIZED, settings.kafka.normalized_partitions)
        stretches = {
            number: (max(retained[number][0], after[number]), retained[number][1]) for number in mine
        }
        async for batch in reader.read(topics.NORMALIZED, stretches):
            registry.look_up(batch.values, settings.kafka.registry)
            batch, rows, _ = faults.read(batch, silver.columns)
            rows = rows.select(COLUMNS)
            parts.append(_plain(rows.filter(pa.array([name == key for name in batch.keys]))))
    gone = (range(after[number], retained[number][0]) for number in mine)
    nowhere = next(filter(None, gone), None)
    return Canonical(instrument, cold, pa.concat_tables(parts), nowhere)


def _cold(settings: IcebergSettings, partitions: Sequence[int]) -> tuple[Table | None, dict[int, int]]:
    """Return the cold table, and by partition of the canonical topic the offset after the last one in it."""
    table = read.find(open_catalog(settings), layer_tables.SILVER.cold)
    return table, {number: read.end(table, topics.NORMALIZED, number) for number in partitions}


def _plain(rows: pa.Table) -> pa.Table:
    """Cast rows of either source to the same types, in the order of COLUMNS."""
    kinds = {field.name: field.type for field in SILVER}
    kinds["side"] = pa.string()
    return rows.select(COLUMNS).cast(pa.schema([(name, kinds[name]) for name in COLUMNS]))


def hot_trades(key: str, rows: pa.Table) -> CandleInput:
    """Convert rows of one symbol to the input of the candle fold."""
    conditions = rows["trade_conditions"]

    def backfilled(wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.array([BACKFILLED in (conditions[row].as_py() or ()) for row in wanted.tolist()], np.bool_)

    return CandleInput(
        keys=[key],
        key=np.zeros(len(rows), np.int64),
        timestamp=_integers(rows, "timestamp"),
        receive_time=_integers(rows, "receive_time"),
        price=_decimals(rows["price"]),
        quantity=_decimals(rows["quantity"]),
        taker_buy=pc.equal(rows["side"], "BUY").to_numpy(),
        sequence=_integers(rows, "sequence"),
        raw_partition=_integers(rows, "raw_partition"),
        raw_offset=_integers(rows, "raw_offset"),
        trade_count=_integers(rows, "trade_count"),
        backfilled=backfilled,
    )


def _integers(rows: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(rows[name].cast(pa.int64()).to_numpy())


def _decimals(column: Any) -> Decimals:
    """Convert decimal128(38, 18) to scaled integers; Arrow's bytes are Avro's in reverse order."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    data = array.buffers()[1]
    fixed = np.frombuffer(data, np.uint8).reshape(-1, 16) if data else np.zeros((0, 16), np.uint8)
    fixed = fixed[array.offset : array.offset + len(array)]
    return decimals.from_fixed16(np.ascontiguousarray(fixed[:, ::-1]))
