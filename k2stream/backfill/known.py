"""Reads the stored trades of a symbol without trade ids: the raw topic, and older ones from the cold tier."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from k2stream import exchanges, topics
from k2stream.backfill.contents import Content, TradeContents
from k2stream.backfill.retained import FURTHER_US, link_of, trades_of
from k2stream.backfill.span import TradeSpan
from k2stream.batch import RecordBatch
from k2stream.iceberg import read
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.reader import Reader
from k2stream.layers import table as layer_tables
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.replay import bronze, native
from k2stream.settings import IcebergSettings, Settings


class Known:
    """The stored trades of a span; none was received more than FURTHER_US before its trade time."""

    def __init__(self, settings: Settings, instrument: Instrument, span: TradeSpan) -> None:
        self._settings, self._instrument, self._span = settings, instrument, span
        self._exchange = exchanges.get(instrument.exchange)
        self._contents = TradeContents()
        self._next: dict[int, int] = {}

    async def times(self) -> Mapping[Content, list[int]]:
        """Read what is stored now, and return the trade times (µs, ascending) by content.

        Raises ConfigError when older records are no longer stored anywhere: they would be published again.
        """
        name = self._exchange.name
        topic, partitions = topics.raw(name), self._settings.kafka.raw_partitions(name)
        mine = topics.partitions_of(self._instrument.symbol, partitions)
        async with Reader(self._settings.kafka, columnar=True) as reader:
            retained = await reader.retained(topic, partitions)
            if not self._next:
                since = await reader.since(topic, partitions, (self._span.start - FURTHER_US) // 1000)
            for partition in mine:
                begin, end = retained[partition]
                if partition not in self._next:
                    first = self._next[partition] = since[partition][0]
                    if begin and first <= begin:  # otherwise the topic still has all of the span
                        where = self._settings.iceberg, self._instrument, self._span, partition, begin
                        self._add(await asyncio.to_thread(_cold, *where))
                wanted = range(self._next[partition], end)
                async for batch in reader.read(topic, {partition: (wanted.start, wanted.stop)}):
                    self._add(_of_symbol(batch, self._instrument, wanted))
                self._next[partition] = max(wanted.start, end)
        return self._contents.times()

    def _add(self, values: list[bytes | None]) -> None:
        if values:
            for record, _, content, time in trades_of(self._exchange, values):
                if self._span.start - 1 <= time <= self._span.end:
                    self._contents.add(content, time, link_of(record))


def _of_symbol(batch: RecordBatch, instrument: Instrument, offsets: range) -> list[bytes | None]:
    key = instrument.symbol.encode()
    rows = zip(batch.keys, batch.values, batch.offsets.tolist(), strict=True)
    return [value for name, value, offset in rows if name == key and offset in offsets]


def _cold(
    settings: IcebergSettings, instrument: Instrument, span: TradeSpan, partition: int, begin: int
) -> list[bytes | None]:
    """Read the span's raw records below offset `begin` from bronze. Raises ConfigError if any is missing."""
    topic = topics.raw(instrument.exchange)
    table = read.find(open_catalog(settings), layer_tables.BRONZE[instrument.exchange].cold)
    end = read.end(table, topic, partition)
    if table is None or end < begin:
        raise ConfigError(
            f"offsets {end} to {begin - 1} of {topic}:{partition} have expired, and Iceberg's bronze ends "
            f"before them: what is held of {instrument.key} since {clock.format_utc(span.start // 1000)} is "
            "not known, and would be published twice; give a --from after them"
        )
    since = clock.iso((span.start - FURTHER_US) // 1000)
    symbol = exchanges.get(instrument.exchange).native.symbol
    where = (
        f"{symbol} == '{instrument.symbol}' and raw_partition == {partition} "
        f"and raw_offset < {begin} and receive_time >= '{since}'"
    )
    rows = read.scan(table, where)
    return (
        list(native.records(instrument.exchange, bronze.named(instrument.exchange, rows)))
        if len(rows)
        else []
    )
