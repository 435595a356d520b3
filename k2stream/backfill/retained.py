"""Reads the trades of an exchange that are stored: those of its raw topic, and those that it has lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2stream import topics
from k2stream.backfill import contents, normalized
from k2stream.backfill.clocks import Clocks
from k2stream.backfill.contents import Content
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Continuity, Exchange
from k2stream.kafka.reader import Reader
from k2stream.settings import KafkaSettings

LATE_US = 60_000_000
"""How long after its trade time a trade may have been received, at most."""

FURTHER_US = 3_600_000_000
"""How much further back trades are searched for when there are none nearby."""

RECENT = 1_000
"""How many records at the end of each partition are used to compare the clocks."""

RECORDS = (10, 10_000)  # read from the end of each partition, before reading all of it


@dataclass(frozen=True, slots=True)
class RetainedTrades:
    """Trades of a raw topic, and the difference of the clocks. All in µs.

    `times` are trade times by symbol and content, ascending. `before` and `after` say how far the exchange's
    clock was ahead of ours before and after an outage.
    """

    times: Mapping[str, Mapping[Content, list[int]]]
    before: int
    after: int


def trades_of(exchange: Exchange, values: Sequence[bytes | None]) -> Iterator[tuple[Any, str, Content, int]]:
    """Yield the readable raw records with symbol, content and trade time (µs)."""
    records, _ = raw.decode(exchange, values)
    return _described(exchange, records)


def _described(exchange: Exchange, records: list[Any]) -> Iterator[tuple[Any, str, Content, int]]:
    columns = exchange.normalize(records)
    return zip(records, columns.symbol, contents.contents(columns), columns.timestamp, strict=True)


def link_of(record: Any) -> str:
    """Return the connection of a record, "" if it was fetched over REST."""
    return "" if record.k2_backfilled else str(record.k2_conn)


class RetainedReader:
    """Reads the raw trades received since `start` (µs, our clock), around the start of a connection.

    It reads on from the first record with that receive time, so that no later one is missed even if our
    clock was set back. Trades without ids that were normalized before their raw records were lost (a log was
    cut) are included: nothing else would tell that they are not new.
    """

    def __init__(self, exchange: Exchange, settings: KafkaSettings, start: int, connection: str) -> None:
        self._exchange, self._settings = exchange, settings
        self._start, self._connection = start - LATE_US, connection
        self._further = False
        self._begin()

    def _begin(self) -> None:
        self._clocks = Clocks()
        self._contents: defaultdict[str, contents.TradeContents] = defaultdict(contents.TradeContents)
        self._next: dict[int, int] = {}
        self._received: dict[normalized.Place, int] = {}
        without_ids = self._exchange.continuity is Continuity.NONE
        self._normalized = (
            normalized.NormalizedReader(self._exchange, self._settings) if without_ids else None
        )

    async def read(self) -> RetainedTrades:
        """Read up to the current end of the topic, which includes trades fetched earlier."""
        await self._read_on()
        before, after = self._clocks.around(self._connection)
        if before is None and not self._further:  # no estimate of our clock before the outage yet
            self._further = True
            self._start -= FURTHER_US
            self._begin()
            return await self.read()
        if self._normalized is not None:
            for symbol, content, time in self._normalized.without(self._received):
                self._contents[symbol].add(content, time, "")
        times = {symbol: found.times() for symbol, found in self._contents.items()}
        known = [item for item in (before, after) if item is not None] or [0]
        return RetainedTrades(times, known[0], known[-1])

    async def _read_on(self) -> None:
        topic = topics.raw(self._exchange.name)
        partitions = self._settings.raw_partitions(self._exchange.name)
        async with Reader(self._settings, columnar=True) as reader:
            if self._normalized is not None:  # first: the raw records of what it has are there by now
                await self._normalized.read(reader, self._start // 1000)
            stretches = await reader.since(topic, partitions, self._start // 1000)
            stretches = {
                number: (self._next.get(number, begin), end) for number, (begin, end) in stretches.items()
            }
            async for batch in reader.read(topic, stretches):
                begin, end = stretches[batch.tp.partition]
                inside = np.flatnonzero((batch.offsets >= begin) & (batch.offsets < end)).tolist()
                self._add(batch.tp.partition, {int(batch.offsets[row]): batch.values[row] for row in inside})
        self._next = {number: end for number, (_, end) in stretches.items()}

    def _add(self, partition: int, values: Mapping[int, bytes | None]) -> None:
        records, unreadable = raw.decode(self._exchange, list(values.values()))
        if self._normalized is not None:
            offsets = [offset for row, offset in enumerate(values) if row not in unreadable]
            for offset, record in zip(offsets, records, strict=True):
                self._received[partition, offset] = record.k2_recv
        for record, symbol, content, time in _described(self._exchange, records):
            self._contents[symbol].add(content, time, link_of(record))
            _compare(self._clocks, partition, record, symbol, time)


def _compare(clocks: Clocks, partition: int, record: Any, symbol: str, time: int) -> None:
    """Add a record to the clock estimate if it was received at once, neither fetched nor left unread."""
    if not (record.k2_backfilled or record.k2_unread):
        clocks.add(partition, record.k2_conn, symbol, time, record.k2_recv)


async def exchange_ahead(exchange: Exchange, settings: KafkaSettings) -> int:
    """Estimate from the newest trades how far the exchange's clock is ahead of ours, µs; 0 without trades."""
    topic, clocks = topics.raw(exchange.name), Clocks()
    async with Reader(settings, columnar=True) as reader:
        retained = await reader.retained(topic, settings.raw_partitions(exchange.name))
        stretches = {number: (max(begin, end - RECENT), end) for number, (begin, end) in retained.items()}
        async for batch in reader.read(topic, stretches):
            for record, symbol, _, time in trades_of(exchange, batch.values):
                _compare(clocks, batch.tp.partition, record, symbol, time)
    return clocks.around("")[0] or 0


async def last_received(exchange: Exchange, settings: KafkaSettings) -> dict[int, int]:
    """Return the receive time (µs) of the newest trade per partition that came over the socket; 0 for none.

    Partitions are separate because a worker may die after it has published to some of them only. Fetched
    trades are ignored: the socket may have been down. A trade found in a socket that was not read for a while
    counts as received when reading stopped.
    """
    topic = topics.raw(exchange.name)
    async with Reader(settings, columnar=True) as reader:
        retained = await reader.retained(topic, settings.raw_partitions(exchange.name))
        newest = dict.fromkeys(retained, 0)
        longest = max(end - begin for begin, end in retained.values())
        for count in (*RECORDS, longest):
            stretches = {
                number: (max(begin, end - count), end)
                for number, (begin, end) in retained.items()
                if not newest[number] and begin < end
            }
            async for batch in reader.read(topic, stretches):
                records, _ = raw.decode(exchange, batch.values)
                received = (item.k2_unread or item.k2_recv for item in records if not item.k2_backfilled)
                newest[batch.tp.partition] = max([newest[batch.tp.partition], *received])
    return newest
