"""Moves a raw topic whose offsets were assigned twice above all offsets that were ever used.

A raw offset identifies a trade permanently. After a topic was recreated, or its log truncated, new trades
have offsets of other trades. Therefore the offsets up to the highest used one are occupied, the new records
below it are published again above it, marked as fetched afterwards, and the log is deleted up to there. Then
no offset has two meanings. Feeds may continue meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from k2stream.batch import TP
from k2stream.exchanges import raw
from k2stream.kafka.deletion import delete_before
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.kafka.reader import Reader
from k2stream.settings import KafkaSettings

COPIED = "k2-copied-from"
"""Header of a record that was published again: its first offset."""

_CONNECTION = re.compile(rb'"k2_conn":"([^"]*)"')
_LIFTED = f"{raw.FETCHED}lifted".encode()

Say = Callable[[str], None]


class Lift(NamedTuple):
    """A partition: offsets below `used` were assigned before; records from `first` to `end` - 1 are new."""

    topic: str
    partition: int
    used: int
    first: int
    end: int

    @property
    def copies(self) -> int:
        """The number of new records below `used` so far; more may arrive."""
        return max(min(self.end, self.used) - self.first, 0)


def backfilled(value: bytes) -> bytes:
    """A raw record marked as fetched afterwards, also in its connection's name, as bronze has only that."""
    named = _CONNECTION.search(value)
    if named and raw.FETCHED.encode() not in named[1]:
        value = value[: named.end(1)] + _LIFTED + value[named.end(1) :]
    return value if raw.BACKFILLED in value else value.rstrip()[:-1] + raw.BACKFILLED + b"}"


async def plan(settings: KafkaSettings, topic: str, partition: int, used: int, newest_ms: int) -> Lift:
    """The lift for a partition, whose records after `newest_ms`, the time of the last read one, are new."""
    async with Reader(settings) as reader:
        (begin, end) = (await reader.since(topic, partition + 1, newest_ms + 1))[partition]
    return Lift(topic, partition, used, begin, end)


async def lift(settings: KafkaSettings, lifts: Sequence[Lift], say: Say) -> None:
    """Do it: each log begins at its `used` afterwards. After a kill, another run finishes it."""
    firsts = {TP(todo.topic, todo.partition): todo.used for todo in lifts}
    for todo in lifts:
        await _publish_above(settings, todo, say)
    if firsts:
        say("deleting what is below them; the broker may need a minute to make that permanent")
        await delete_before(settings, firsts)


async def _publish_above(settings: KafkaSettings, todo: Lift, say: Say) -> None:
    async with producing(settings, compressed=True) as producer:
        async with Reader(settings) as reader:
            (_, end) = (await reader.retained(todo.topic, todo.partition + 1))[todo.partition]
        end = await producer.occupy(TP(todo.topic, todo.partition), end, todo.used)
        say(f"{todo.topic}[{todo.partition}]: offsets up to {end - 1} are taken")
        copied = await _copy(settings, producer, todo)
        say(f"{todo.topic}[{todo.partition}]: {copied} new records published again above them")


async def _copy(settings: KafkaSettings, producer: DurableProducer, todo: Lift) -> int:
    """Publish the new records below `used` again, starting after the last one that was copied before."""
    async with Reader(settings) as reader:
        (begin, end) = (await reader.retained(todo.topic, todo.partition + 1))[todo.partition]
        done = -1
        async for record in reader.read(todo.topic, {todo.partition: (max(todo.used, begin), end)}):
            done = max([done, *_copied(record)])
        first = max(todo.first, begin, done + 1)
        count, sent = 0, None
        async for record in reader.read(todo.topic, {todo.partition: (first, todo.used)}):
            if record.value is None:
                continue
            sent = await producer.send(
                todo.topic,
                backfilled(record.value),
                record.key,
                partition=todo.partition,
                headers=[(COPIED, b"%d" % record.offset)],
            )
            count += 1
        if sent is not None:
            await sent
        await producer.flush()
    return count


def _copied(record: Any) -> Iterator[int]:
    return (int(value) for name, value in record.headers if name == COPIED)
