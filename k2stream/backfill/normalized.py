"""Reads the trades of an exchange that are in the normalized topic although their raw records are lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k2stream import topics
from k2stream.avro import registry, trades
from k2stream.backfill import contents
from k2stream.backfill.contents import Content
from k2stream.exchanges.spec import Exchange
from k2stream.kafka.reader import Reader
from k2stream.normalizer import inverse
from k2stream.settings import KafkaSettings
from k2stream.tables.orphans import beyond

Place = tuple[int, int]
"""Partition and offset of a raw record."""


class NormalizedReader:
    """The trades that were normalized since some time, in stretches: each `read` continues the last one."""

    def __init__(self, exchange: Exchange, settings: KafkaSettings) -> None:
        self._exchange, self._settings = exchange, settings
        self._next: dict[int, int] = {}
        self._found: dict[Place, tuple[int, bytes]] = {}

    async def read(self, reader: Reader, since: int) -> None:
        """Read up to the current end; `since` is in ms since 1970. Raises what `registry.look_up` raises."""
        if not await reader.exists(topics.NORMALIZED):
            return
        stretches = {
            number: (self._next.get(number, begin), end)
            for number, (begin, end) in (
                await reader.since(topics.NORMALIZED, self._settings.normalized_partitions, since)
            ).items()
        }
        async for batch in reader.read(topics.NORMALIZED, stretches):
            registry.look_up(batch.values, self._settings.registry)
            found = beyond(batch, self._exchange.name, 0)
            self._found |= {(batch.tp.partition, offset): made for offset, made in found.items()}
        self._next = {number: end for number, (_, end) in stretches.items()}

    def without(self, received: Mapping[Place, int]) -> Iterator[tuple[str, Content, int]]:
        """Yield symbol, content and trade time (µs) of trades whose raw records are not among those received.

        `received` has the receive time (µs) of each raw record. A trade is yielded once.
        """
        lost = [value for at, (time, value) in self._found.items() if received.get(at) != time]
        self._found.clear()
        columns = inverse.columns(self._exchange, trades.decode(lost)) if lost else None
        if columns is not None:
            yield from zip(columns.symbol, contents.contents(columns), columns.timestamp, strict=True)
