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

from k2stream import topics
from k2stream.avro import registry, trades
from k2stream.batch import BatchTable, RecordBatch
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.kafka.reader import Reader
from k2stream.model.errors import UNREADABLE
from k2stream.normalizer import SymbolPosition
from k2stream.settings import KafkaSettings

PUBLISHED = b"published"
"""Fact of a partition of a positions table: an offset of the normalized topic.

No trade before it was made from a record beyond the table's position.
"""

SETTLE_SECONDS = 12.0
"""How long a raw record is waited for: a newly elected leader may be behind."""

PAUSE_SECONDS = 0.5

BAD = (*UNREADABLE, OverflowError, LookupError)
"""What decoding a record of the topic may raise."""

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


Made = dict[int, tuple[int, bytes]]
"""Trades beyond a position: receive times (µs) and records, by raw offset."""

Held = dict[int, tuple[int, int]]
"""Raw records: receive times (µs) and timestamps (ms) by offset."""


def beyond(batch: RecordBatch, exchange: str, position: int) -> Made:
    """The trades of an exchange whose raw offset is not below `position` (pure).

    `batch` is of the normalized topic; in one of its partitions, an exchange's raw records are of one.
    """
    prefix = f"{exchange}:".encode()
    pairs = zip(batch.keys, batch.values, strict=True)
    values = [value for key, value in pairs if value and (key or b"").startswith(prefix)]
    try:
        decoded = trades.decode(values)
    except BAD:
        values = [value for value in values if _is_trade(value)]
        decoded = trades.decode(values)
    columns = decoded.raw_offset.tolist(), decoded.receive_time.tolist(), values
    return {at: (time, value) for at, time, value in zip(*columns, strict=True) if at >= position}


def _is_trade(value: bytes) -> bool:
    """Whether a record of the topic can be read; readers put others with the dead letters."""
    try:
        trades.decode([value])
    except BAD:
        return False
    return True


def lacking(made: Made, begin: int, held: Held) -> dict[int, bytes]:
    """Those whose raw records are not in the log, which begins at `begin` and has the ones held (pure)."""
    return {
        at: value for at, (time, value) in made.items() if at >= begin and held.get(at, (-1, 0))[0] != time
    }


class TradesBeyond:
    """The trades of an exchange that are published beyond the positions in `table`."""

    def __init__(
        self, settings: KafkaSettings, exchange: Exchange, table: BatchTable[str, SymbolPosition]
    ) -> None:
        self._settings, self._exchange, self._table = settings, exchange, table
        self.owed: dict[int, int] = {}
        """By partition: the highest raw offset that was published when it was looked at, -1 for none."""

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
                self.owed[number] = max(made, default=-1)
                if lost := await where.orphans(made):
                    found[number] = lost
        return found

    async def begin(self) -> bool:
        """Keep the fact for partitions that have none; whether there were any, which must be written now."""
        without = [n for n in self._table.active_partitions if self._table.fact(n, PUBLISHED) is None]
        if without:
            async with Reader(self._settings) as reader:
                if not await reader.exists(topics.NORMALIZED):
                    return False
                ends = await reader.retained(topics.NORMALIZED, max(without) + 1)
            for number in without:
                self._table.keep(number, PUBLISHED, str(ends[number][1]).encode())
        return bool(without)

    def mark(self, delivered: Mapping[tuple[str, int], int]) -> None:
        """Keep the fact, now and then; at this moment nothing that is sent may be beyond the positions.

        `delivered` has offsets that the broker has acknowledged, by topic and partition. A partition whose
        earlier owner had published more waits until its position is there. A lower offset is of a topic that
        was made anew.
        """
        for number in self._table.active_partitions:
            now, said = delivered.get((topics.NORMALIZED, number)), self._table.fact(number, PUBLISHED)
            if now is None or (said is not None and int(said) <= now < int(said) + SELDOM):
                continue
            if self._table.reach(number) >= self.owed.get(number, -1):
                self._table.keep(number, PUBLISHED, str(now).encode())


class _Where(NamedTuple):
    """A raw partition, normalized up to before offset `position`."""

    settings: KafkaSettings
    reader: Reader
    exchange: Exchange
    partition: int
    position: int

    async def orphans(self, made: Made) -> Orphans | None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while made:
            begin, held = await self._held(max(made) + 1)
            lost = lacking(made, begin, held)
            if not lost:
                break
            if time.monotonic() > deadline:
                newest = max((held[at][1] for at in made.keys() & held.keys() - lost.keys()), default=0)
                return Orphans(lost, newest)
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def published(self, since: int) -> Made:
        found: Made = {}
        retained = await self.reader.retained(topics.NORMALIZED, self.partition + 1)
        begin, end = retained[self.partition]
        since = begin if since > end else since  # it is of an earlier topic of that name
        stretch = {self.partition: (max(begin, since), end)}
        async for batch in self.reader.read(topics.NORMALIZED, stretch):
            registry.look_up(batch.values, self.settings.registry)
            found |= beyond(batch, self.exchange.name, self.position)
        return found

    async def _held(self, end: int) -> tuple[int, Held]:
        """Where the raw log begins, and its records from the position on."""
        topic = topics.raw(self.exchange.name)
        begin, own = (await self.reader.retained(topic, self.partition + 1))[self.partition]
        held, stretch = {}, (max(begin, self.position), min(own, end))
        async for batch in self.reader.read(topic, {self.partition: stretch}):
            records, unreadable = raw.decode(self.exchange, batch.values)
            rows = [row for row in range(len(batch)) if row not in unreadable]
            for row, record in zip(rows, records, strict=True):
                held[int(batch.offsets[row])] = record.k2_recv, int(batch.timestamps[row])
        return begin, held
