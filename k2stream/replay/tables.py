"""Compares Faust's tables with the rebuilt ones, and writes changelog entries that correct them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from msgspec import structs

from k2stream import topics
from k2stream.batch import BatchTable
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.kafka.reader import Reader
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.comparison import Comparison
from k2stream.replay.compare import bounded, entries, same_window
from k2stream.replay.places import PlacedState, Source, Window
from k2stream.replay.rebuild import Rebuild
from k2stream.settings import KafkaSettings
from k2stream.tables.changelog import load
from k2stream.tables.ohlcv import PartitionWindows, timeframe_of


class Part(NamedTuple):
    """A partition of a table: rebuilt and live entries by key, and the windows that it must have."""

    exchange: str
    number: int
    rebuilt: Mapping[Any, Any]
    found: Mapping[Any, Any]
    kept: frozenset[Window] | None

    def needs(self, key: Any) -> bool:
        """Whether the table must have a key; of windows, only the newest are required."""
        return self.kept is None or key in self.kept

    def is_window_of(self, key: Any) -> bool:
        """Whether a key is a window that the table has, or must have."""
        return self.kept is not None and (key in self.found or key in self.kept)

    def source(self, key: Any) -> Source:
        """The raw source of a key's trades."""
        name = key[0] if self.kept is not None else key
        return self.exchange or str(name).partition(":")[0], self.number


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables as loaded from their changelogs, beside a rebuild; `retention` is a number of windows."""

    live: Mapping[str, BatchTable]
    rebuild: Rebuild
    retention: int

    async def read(self, settings: KafkaSettings) -> None:
        """Load the tables; one that no worker has written yet stays empty."""
        async with Reader(settings, columnar=True) as reader:
            for table in self.live.values():
                if await reader.exists(table.changelog_topic_name):
                    await load(reader, table)

    def layers(self, bounds: Mapping[Source, int], *, behind: bool) -> Iterator[Comparison]:
        """Compare all tables up to the raw offsets in `bounds`; `behind`: workers may still change them."""
        placed = self.rebuild.placed()
        for name in self.live:
            layer = Comparison(f"table {name}")
            for part in self._parts(name, placed):
                _compare(layer, part, bounds, behind)
            yield layer

    async def repair(self, settings: KafkaSettings, *, reopen: bool = False, whole: bool = False) -> int:
        """Write corrections to the changelogs; returns how many keys. No worker may be using the tables.

        With `reopen`, all windows are written as open, so that the worker closes and publishes them again;
        without it, only those that the clock had closed are. `whole` also writes the windows that are right.
        """
        count, placed = 0, self.rebuild.placed()
        async with producing(settings) as producer:
            # In the workers' order: the progress of a key is written after the windows it describes.
            for name in sorted(self.live, key="candle_progress".__eq__):
                for part in self._parts(name, placed):
                    changed = [
                        key
                        for key in part.found.keys() | part.rebuilt.keys()
                        if _wrong(part, key) or (whole and part.is_window_of(key))
                    ]
                    await self._write(producer, name, part, changed, reopen=reopen)
                    count += len(changed)
        return count

    async def _write(
        self, producer: DurableProducer, name: str, part: Part, changed: Iterable[Any], *, reopen: bool
    ) -> None:
        """Write a tombstone before each entry, as recovery would keep an older entry that looks newer."""
        table = self.live[name]
        store = _windows(table, part.number)
        for key in changed:
            store.delete(key[0], key[1]) if store else table.delete(part.number, key)
        await send_changes(producer, table)
        for key in changed:
            if key in part.rebuilt:
                value = part.rebuilt[key]
                value = structs.replace(value, final=False) if store and reopen else value
                store.put(key[0], key[1], value) if store else table.put(part.number, key, value)
        await send_changes(producer, table)

    def _parts(self, name: str, placed: PlacedState) -> Iterator[Part]:
        table = self.live[name]
        for number in range(table.partitions or 1):
            live = dict(table.partition_items(number))
            if (timeframe := timeframe_of(table)) and (store := _windows(table, number)):
                windows = {(key, open_time): state for key, open_time, state in store.windows()}
                rebuilt = placed.windows[number][timeframe]
                kept = newest(rebuilt.keys() | windows.keys(), self.retention)
                yield Part("", number, rebuilt, windows, kept)
            elif table.source != topics.NORMALIZED:
                exchange = topics.exchange_of(table.source)
                yield Part(exchange, number, placed.positions[exchange, number], live, None)
            else:
                yield Part("", number, placed.progress[number], live, None)


def newest(windows: Iterable[Window], retention: int) -> frozenset[Window]:
    """The newest windows of each key, which a table must have."""
    times = defaultdict(list)
    for key, open_time in windows:
        times[key].append(open_time)
    return frozenset((key, time) for key, found in times.items() for time in sorted(found)[-retention:])


def _windows(table: BatchTable, number: int) -> PartitionWindows | None:
    timeframe = timeframe_of(table)
    return PartitionWindows(table, number, TIMEFRAMES[timeframe]) if timeframe else None


def _compare(layer: Comparison, part: Part, bounds: Mapping[Source, int], behind: bool) -> None:
    entries(
        layer,
        part.rebuilt,
        part.found,
        moved=lambda key, live: live.raw_offset >= bounded(bounds, *part.source(key)),
        behind=lambda live, value: behind and (live is None or live.raw_offset < value.raw_offset),
        needed=part.needs,
        same=same_window if part.kept is not None else lambda a, b: bool(a == b),
        say=partial(_named, windowed=part.kept is not None),
    )


def _named(key: Any, *, windowed: bool) -> str:
    return f"{key[0]} {clock.format_utc(key[1])}" if windowed else str(key)


def _wrong(part: Part, key: Any) -> bool:
    if key not in part.found:
        return part.needs(key)
    return bool(part.found[key] != part.rebuilt.get(key))


async def send_changes(producer: DurableProducer, table: BatchTable) -> None:
    """Write the pending changes of a table to its changelog."""
    sent = [
        await producer.send(table.changelog_topic_name, value, key, changes.partition)
        for changes in table.take_changes()
        for key, value in zip(changes.keys, changes.values, strict=True)
    ]
    for future in sent:
        await future
