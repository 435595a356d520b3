"""Finds orphans: trades of the normalized topic whose raw records are no longer there.

The normalizer publishes trades before it writes how far it is. After a crash, the topic has trades beyond
that position, which the worker makes again from the same raw records, and readers drop. If the raw log was
cut meanwhile, those records are lost, and their offsets are used again for other trades: reading on would
lose these, and count the lost ones twice once their exchange is asked for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from k2stream import topics
from k2stream.avro import registry, trades
from k2stream.batch import BatchTable
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.kafka.reader import Reader
from k2stream.normalizer import SymbolPosition
from k2stream.settings import KafkaSettings

PUBLISHED = b"published"
"""Fact of a partition of a positions table: an offset of the normalized topic.

No trade before it was made from a record beyond the table's position.
"""

SETTLE_SECONDS = 12.0
"""How long a raw record is waited for: a newly elected leader may be behind."""

PAUSE_SECONDS = 0.5

SELDOM = 10_000
"""By how many offsets the fact may be behind: so many records are read at a start."""


class Orphans(NamedTuple):
    """The orphans of a raw partition: their records in the normalized topic, by raw offset.

    `newest` is the timestamp (ms) of the last raw record that is there and of which a trade was published
    beyond the position, 0 without one.
    """

    trades: dict[int, bytes]
    newest: int

    @property
    def last(self) -> int:
        """The highest raw offset."""
        return max(self.trades)

    def __str__(self) -> str:
        offsets = f"{min(self.trades)} to {self.last}"
        return (
            f"{topics.NORMALIZED} has {len(self.trades)} trades of its offsets {offsets} whose records are "
            "not there: its log was cut"
        )


class TradesBeyond:
    """The trades of an exchange that are published beyond the positions in `table`."""

    def __init__(
        self, settings: KafkaSettings, exchange: Exchange, table: BatchTable[str, SymbolPosition]
    ) -> None:
        self._settings, self._exchange, self._table = settings, exchange, table
        self._beyond: dict[int, int] = {}

    async def orphans(self, partitions: Iterable[int]) -> dict[int, Orphans]:
        """The orphans of some partitions of the raw topic."""
        found = {}
        said = {number: self._table.fact(number, PUBLISHED) for number in partitions}
        if not any(said.values()):
            return {}
        async with Reader(self._settings, columnar=True) as reader:
            for topic in (topics.NORMALIZED, topics.raw(self._exchange.name)):
                if not await reader.exists(topic):
                    return {}  # positions in the raw topic are checked by their own
            for number, offset in said.items():
                position = self._table.reach(number) + 1
                where = _Where(self._settings, reader, self._exchange, number, position)
                made = {} if offset is None else await where.published(int(offset))
                self._beyond[number] = max(made, default=-1)
                if lost := await where.orphans(made):
                    found[number] = lost
        return found

    def mark(self, delivered: Mapping[tuple[str, int], int]) -> None:
        """Keep the fact, now and then; at this moment nothing that is sent may be beyond the positions.

        `delivered` has offsets that the broker has acknowledged, by topic and partition. A partition whose
        earlier owner had published more waits until its position is there.
        """
        for number in self._table.active_partitions:
            now, said = delivered.get((topics.NORMALIZED, number)), self._table.fact(number, PUBLISHED)
            if now is None or (said is not None and now < int(said) + SELDOM):
                continue
            if self._table.reach(number) >= self._beyond.get(number, -1):
                self._table.keep(number, PUBLISHED, str(now).encode())


class _Where(NamedTuple):
    """A raw partition, normalized up to before offset `position`."""

    settings: KafkaSettings
    reader: Reader
    exchange: Exchange
    partition: int
    position: int

    async def orphans(self, made: Mapping[int, tuple[int, bytes]]) -> Orphans | None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while made:
            begin, held = await self._held(max(made) + 1)
            lost = {
                at: value
                for at, (time, value) in made.items()
                if at >= begin and held.get(at, (-1,))[0] != time
            }
            if not lost:
                break
            if time.monotonic() > deadline:
                newest = max((held[at][1] for at in made.keys() & held.keys() - lost.keys()), default=0)
                return Orphans(lost, newest)
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def published(self, since: int) -> dict[int, tuple[int, bytes]]:
        """Receive times (µs) of the trades beyond the position and their records, by raw offset."""
        found: dict[int, tuple[int, bytes]] = {}
        prefix = f"{self.exchange.name}:".encode()
        retained = await self.reader.retained(topics.NORMALIZED, self.partition + 1)
        begin, end = retained[self.partition]
        stretch = {self.partition: (max(begin, since), end)}
        async for batch in self.reader.read(topics.NORMALIZED, stretch):
            registry.look_up(batch.values, self.settings.registry)
            decoded = trades.decode(batch.values)
            mine = np.array([(key or b"").startswith(prefix) for key in batch.keys], np.bool_)
            beyond = np.flatnonzero(mine & (decoded.raw_offset >= self.position))
            for row in beyond.tolist():
                found[int(decoded.raw_offset[row])] = int(decoded.receive_time[row]), batch.values[row] or b""
        return found

    async def _held(self, end: int) -> tuple[int, dict[int, tuple[int, int]]]:
        """Where the raw log begins; receive time (µs) and timestamp (ms) of records from the position on."""
        topic = topics.raw(self.exchange.name)
        begin, own = (await self.reader.retained(topic, self.partition + 1))[self.partition]
        held, stretch = {}, (max(begin, self.position), min(own, end))
        async for batch in self.reader.read(topic, {self.partition: stretch}):
            records, unreadable = raw.decode(self.exchange, batch.values)
            rows = [row for row in range(len(batch)) if row not in unreadable]
            for row, record in zip(rows, records, strict=True):
                held[int(batch.offsets[row])] = record.k2_recv, int(batch.timestamps[row])
        return begin, held
