"""Reads stretches of a topic: what was published before a place, and what a client has missed since."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from k2stream.batch import TP, RecordBatch
from k2stream.batch.proof import Proof, Shown
from k2stream.kafka.reader import Reader
from k2stream.model.errors import K2Error
from k2stream.service.stream.channels import Channel
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.settings import KafkaSettings

LOOKBACK_MS = 120_000
LOOKBACK_RECORDS = 500
"""How far before a place publications are compared with those after it: what a worker may publish again
after it was killed, it published since its last commit, which is much less."""

MOST = 200_000
"""The most records of candles that are read for one client; beyond it, history is read again."""

SLICE = 100
"""Records that are decoded without giving way to others."""

Ranges = Mapping[int, tuple[int, int]]


class OutOfReach(K2Error):
    """What a client has missed is not in the topic any more, or too much, or the topic is another."""


class TopicRecords(Protocol):
    """A client of the broker (k2stream/kafka/reader.py)."""

    async def retained(self, topic: str, partitions: int) -> Ranges: ...
    async def since(self, topic: str, partitions: int, ms: int) -> Ranges: ...
    async def shown(self, wanted: Mapping[TP, int]) -> Mapping[TP, Shown]: ...
    def read(self, topic: str, stretches: Ranges) -> AsyncIterator[Any]: ...


Connect = Callable[[], AbstractAsyncContextManager[TopicRecords]]


def connected(settings: KafkaSettings) -> Connect:
    """Connects to the broker, and reads by column."""
    return lambda: Reader(settings, columnar=True)


async def shown_at(
    records: TopicRecords, topic: str, places: Mapping[int, Place | Proof]
) -> dict[int, Shown]:
    """What the broker shows of partitions, with the record at a place of each."""
    shown = await records.shown({TP(topic, number): place.offset for number, place in places.items()})
    return {tp.partition: found for tp, found in shown.items()}


async def lookback(
    records: TopicRecords, topic: str, partitions: int, places: Mapping[int, Place]
) -> dict[int, int]:
    """Where to begin to read, by partition, in order to recognize what repeats records up to a place."""
    earliest = min(place.clock for place in places.values()) - LOOKBACK_MS
    retained = await records.retained(topic, partitions)
    by_time = await records.since(topic, partitions, earliest)
    return {
        number: max(min(by_time[number][0], place.offset + 1 - LOOKBACK_RECORDS), retained[number][0])
        for number, place in places.items()
    }


def slices(batch: RecordBatch) -> Iterable[RecordBatch]:
    """A batch in parts that are decoded at once."""
    if len(batch) <= SLICE:
        return [batch]
    starts = range(0, len(batch), SLICE)
    return (batch.take(list(range(first, min(first + SLICE, len(batch))))) for first in starts)


async def missed(
    connect: Connect,
    channel: Channel,
    partitions: int,
    keys: Mapping[int, Sequence[str]],
    places: Mapping[int, Place],
    ends: Mapping[int, Place],
) -> AsyncIterator[Sequence[StreamEntry]]:
    """What keys got after places, up to the places `ends`, by partition; in order per partition.

    Raises OutOfReach and Expired.
    """
    async with connect() as records:
        starts = await lookback(records, channel.topic, partitions, places)
        if any(starts[number] > place.offset + 1 for number, place in places.items()):
            raise OutOfReach  # told by the look that is read from: more may expire before the next one
        if channel.conflated and sum(ends[n].offset - place.offset for n, place in places.items()) > MOST:
            raise OutOfReach
        log, reached = channel.log(), dict(places)
        log.begin(starts)
        stretches = {number: (start, ends[number].offset + 1) for number, start in starts.items()}
        async for batch in records.read(channel.topic, stretches):
            number = batch.tp.partition
            for part in slices(batch):
                for entry in channel.entries(part):
                    if entry.place <= ends[number]:
                        log.add(entry)
                if not channel.conflated and (found := log.after(keys[number], number, reached[number])):
                    reached[number] = found[-1].place
                    yield found
                await asyncio.sleep(0)
        for number, place in places.items():
            if channel.conflated and not log.covers(keys[number], number, place):
                raise OutOfReach
            if found := log.after(keys[number], number, reached[number]):
                yield found
