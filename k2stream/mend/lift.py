"""A raw topic whose offsets were given twice goes on above all that were ever used.

A raw offset is a trade's identity for good. Where a topic was made anew, or its log cut, new trades lie under
offsets of others. The offsets up to the highest one used are filled up, what is new below it is published
again above, as fetched afterwards, and the log then begins there: no offset means two things any more. Feeds
go on meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from k2stream.exchanges import raw
from k2stream.kafka.client import client_options
from k2stream.kafka.reader import Reader
from k2stream.settings import KafkaSettings

FILL_RECORDS = 100_000
"""Records of a batch that only takes offsets: compressed, some hundred bytes."""

_FILL_BYTES = 8 << 20
COPIED = "k2-copied-from"
"""Header of a record that was published again: the offset under which it came first."""

_CONNECTION = re.compile(rb'"k2_conn":"([^"]*)"')
_LIFTED = f"{raw.FETCHED}lifted".encode()

Say = Callable[[str], None]


class Lift(NamedTuple):
    """A partition: offsets below `used` were given before, records from `first` to before `end` are new."""

    topic: str
    partition: int
    used: int
    first: int
    end: int

    @property
    def copies(self) -> int:
        """New records below `used`, at least: those that came until now."""
        return max(min(self.end, self.used) - self.first, 0)


def backfilled(value: bytes) -> bytes:
    """A raw record marked as fetched afterwards, also in its connection's name, for bronze has only that."""
    named = _CONNECTION.search(value)
    if named and raw.FETCHED.encode() not in named[1]:
        value = value[: named.end(1)] + _LIFTED + value[named.end(1) :]
    return value if raw.BACKFILLED in value else value.rstrip()[:-1] + raw.BACKFILLED + b"}"


async def plan(settings: KafkaSettings, topic: str, partition: int, used: int, newest_ms: int) -> Lift:
    """What a partition needs: records after `newest_ms`, the time of the last one that was read, are new."""
    tp = TopicPartition(topic, partition)
    async with Reader(settings) as reader:
        (begin, end) = (await reader.since(topic, partition + 1, newest_ms + 1))[partition]
    return Lift(tp.topic, partition, used, begin, end)


async def lift(settings: KafkaSettings, todo: Lift, say: Say) -> int:
    """Do it; the offset at which the log begins then. Killed anywhere, another run finishes it."""
    options = client_options(settings)
    async with AIOKafkaProducer(
        **options, acks="all", enable_idempotence=True, compression_type="gzip", max_batch_size=_FILL_BYTES
    ) as producer:
        async with Reader(settings) as reader:
            (_, end) = (await reader.held(todo.topic, todo.partition + 1))[todo.partition]
        end = await _fill(producer, todo, end)
        say(f"{todo.topic}[{todo.partition}]: offsets up to {max(end, todo.used) - 1} are taken")
        copied = await _copy(settings, producer, todo)
        say(f"{todo.topic}[{todo.partition}]: {copied} new records published again above them")
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        where = TopicPartition(todo.topic, todo.partition)
        await admin.delete_records({where: RecordsToDelete(before_offset=todo.used)})
    finally:
        await admin.close()
    return todo.used


async def _fill(producer: AIOKafkaProducer, todo: Lift, end: int) -> int:
    """Take offsets from `end` on until `used` is reached; the end then."""
    while end < todo.used:
        batch = producer.create_batch()
        for _ in range(min(FILL_RECORDS, todo.used - end)):
            if batch.append(timestamp=None, key=None, value=None) is None:
                break
        count = batch.record_count()
        sent = await (await producer.send_batch(batch, todo.topic, partition=todo.partition))
        end = sent.offset + count
    return end


async def _copy(settings: KafkaSettings, producer: AIOKafkaProducer, todo: Lift) -> int:
    """Publish the new records below `used` once more, from the one after the last that was already."""
    async with Reader(settings) as reader:
        (begin, end) = (await reader.held(todo.topic, todo.partition + 1))[todo.partition]
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
