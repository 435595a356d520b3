"""What an exchange's raw topic holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from k2stream import topics
from k2stream.backfill import contents
from k2stream.backfill.contents import Content
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange
from k2stream.reading import Reader
from k2stream.settings import Settings

CLOCK_US = 60_000_000
"""How far this machine's clock, which receive times are of, may be from the exchange's."""

RECORDS = (10, 10_000)  # looked at from the end of each partition, before all of them


@dataclass(frozen=True, slots=True)
class Held:
    """`times` of trades by symbol and content, ascending; how far `ahead` the exchange's clock is. All µs."""

    times: Mapping[str, Mapping[Content, list[int]]]
    ahead: int


def trades_of(exchange: Exchange, values: Sequence[bytes | None]) -> Iterator[tuple[Any, str, Content, int]]:
    """The readable raw records with symbol, content and time (µs)."""
    records, _ = raw.decode(exchange, values)
    columns = exchange.normalise(records)
    return zip(records, columns.symbol, contents.contents(columns), columns.timestamp, strict=True)


def link_of(record: Any) -> str:
    """The connection that told a record, "" of one that was fetched later."""
    return "" if record.k2_backfilled else str(record.k2_conn)


class Holdings:
    """What was traded from one time of our clock to another, µs, by a clock at most CLOCK_US away."""

    def __init__(self, exchange: Exchange, settings: Settings, start: int, end: int) -> None:
        self._exchange, self._settings = exchange, settings
        self._start, self._end = start - CLOCK_US, end + CLOCK_US
        self._ahead: list[int] = []
        self._held: defaultdict[str, contents.Held] = defaultdict(contents.Held)
        self._next: dict[int, int] = {}

    async def read(self) -> Held:
        """All that the topic has now, up to its end, where trades are that were fetched before."""
        topic = topics.raw(self._exchange.name)
        partitions = self._settings.raw_partitions(self._exchange.name)
        async with Reader(self._settings, columnar=True) as reader:
            stretches = await reader.since(topic, partitions, self._start // 1000)
            stretches = {
                number: (self._next.get(number, begin), end) for number, (begin, end) in stretches.items()
            }
            async for batch in reader.read(topic, stretches):
                begin, end = stretches[batch.tp.partition]
                inside = (batch.offsets >= begin) & (batch.offsets < end)
                self._add([batch.values[row] for row in np.flatnonzero(inside).tolist()])
        self._next = {number: end for number, (_, end) in stretches.items()}
        times = {symbol: found.times() for symbol, found in self._held.items()}
        return Held(times, int(median(self._ahead)) if self._ahead else 0)

    def _add(self, values: Sequence[bytes | None]) -> None:
        for record, symbol, content, time in trades_of(self._exchange, values):
            if self._start <= time <= self._end:
                self._held[symbol].add(content, time, link_of(record))
                if not (record.k2_backfilled or record.k2_unread):
                    self._ahead.append(time - record.k2_recv)


async def last_received(exchange: Exchange, settings: Settings) -> dict[int, int]:
    """By partition the receive time of the newest trade that came over the socket, µs; 0 for none.

    A worker may die when it has published to one partition and not to the next, so none speaks for another.
    Trades that were fetched are passed over: they came while the socket may have been down. One that was
    found in a socket left unread may have come as early as it was left.
    """
    topic = topics.raw(exchange.name)
    async with Reader(settings, columnar=True) as reader:
        held = await reader.held(topic, settings.raw_partitions(exchange.name))
        newest = dict.fromkeys(held, 0)
        longest = max(end - begin for begin, end in held.values())
        for count in (*RECORDS, longest):
            stretches = {
                number: (max(begin, end - count), end)
                for number, (begin, end) in held.items()
                if not newest[number] and begin < end
            }
            async for batch in reader.read(topic, stretches):
                records, _ = raw.decode(exchange, batch.values)
                received = (item.k2_unread or item.k2_recv for item in records if not item.k2_backfilled)
                newest[batch.tp.partition] = max([newest[batch.tp.partition], *received])
    return newest
