"""What the platform holds of a symbol without trade ids: the raw topic, and the cold tier from before it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pyiceberg.exceptions import NoSuchTableError

from k2stream import clock, exchanges, topics
from k2stream.backfill.contents import Content, Held
from k2stream.backfill.held import CLOCK_US, link_of, trades_of
from k2stream.backfill.span import Span
from k2stream.batch import RecordBatch
from k2stream.cold.catalog import open_catalog
from k2stream.exchanges.spec import Exchange
from k2stream.instruments import Instrument
from k2stream.reading import Reader
from k2stream.replay import native
from k2stream.settings import Settings


async def known(settings: Settings, instrument: Instrument, span: Span) -> Mapping[Content, list[int]]:
    """Times (µs, ascending) of the span's trades by content."""
    exchange = exchanges.get(instrument.exchange)
    topic = topics.raw(exchange.name)
    partition = topics.partition_of(instrument.symbol, settings.raw_partitions(exchange.name))
    found = Held()
    async with Reader(settings, columnar=True) as reader:
        held = await reader.held(topic, settings.raw_partitions(exchange.name))
        begin = held[partition][0]
        if begin:
            cold = await asyncio.to_thread(_cold, settings, instrument, span, partition, begin)
            _add(found, exchange, cold, span)
        stretches = await reader.since(topic, len(held), (span.start - CLOCK_US) // 1000)
        async for batch in reader.read(topic, {partition: stretches[partition]}):
            _add(found, exchange, _of_symbol(batch, instrument), span)
    return found.times()


def _of_symbol(batch: RecordBatch, instrument: Instrument) -> list[bytes | None]:
    key = instrument.symbol.encode()
    return [value for name, value in zip(batch.keys, batch.values, strict=True) if name == key]


def _add(found: Held, exchange: Exchange, values: list[bytes | None], span: Span) -> None:
    if not values:
        return
    for record, _, content, time in trades_of(exchange, values):
        if span.start - 1 <= time <= span.end:
            found.add(content, time, link_of(record))


def _cold(
    settings: Settings, instrument: Instrument, span: Span, partition: int, begin: int
) -> list[bytes | None]:
    """Raw records of the span below an offset, from bronze; nothing where there is no cold tier."""
    try:
        table = open_catalog(settings).load_table(f"cold.bronze_trades_{instrument.exchange}")
    except NoSuchTableError:
        return []
    since = clock.iso((span.start - CLOCK_US) // 1000)
    where = (
        f"{native.SYMBOL[instrument.exchange]} == '{instrument.symbol}' and raw_partition == {partition} "
        f"and raw_offset < {begin} and receive_time >= '{since}'"
    )
    rows = table.scan(row_filter=where).to_arrow()
    return list(native.records(instrument.exchange, rows)) if len(rows) else []
