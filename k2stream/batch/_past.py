"""Reads tables as they stood at a time, from their changelogs, without touching the worker's own state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list

from k2stream.batch._fetch import deliver_columns
from k2stream.batch._restore import Reach, restore
from k2stream.batch._table import BatchTable
from k2stream.model.errors import RequestError

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp

T = TypeVar("T")

PAST_SECONDS = 30.0
"""How long the reading for one request may take, with the wait for another one's."""

_POLL_MS = 500
_FETCH_WAIT_MS = 10  # the next partition waits for the fetch beyond the end of the one before


class PastPartition(NamedTuple):
    """A partition of a table as it stood, in a copy of the table, and what its changelog still shows."""

    partition: int
    table: BatchTable
    reach: Reach


class PastReader:
    """Reads one partition after the other, so that one at a time is in memory; for one request at a time."""

    def __init__(self, app: BatchApp, seconds: float = PAST_SECONDS) -> None:
        self._app, self._seconds = app, seconds
        self._turn = asyncio.Lock()

    def deadline(self) -> float:
        """Return when the reading for a request that comes now has to end, as a time of the event loop."""
        return asyncio.get_running_loop().time() + self._seconds

    async def read(
        self,
        table: BatchTable,
        partitions: Iterable[int],
        at: int,
        read: Callable[[PastPartition], Awaitable[T]],
        deadline: float | None = None,
    ) -> tuple[list[T], list[Reach]]:
        """Read partitions as they stood at a time (ms since 1970); returns what `read` made of each.

        `deadline` is that of a request with several tables.
        Raises RequestError: 504 after too long, 503 when the broker does not answer or lost what was read.
        """
        found, reach = [], []
        until = self.deadline() if deadline is None else deadline
        try:
            async with asyncio.timeout_at(until), self._turn, _consumer(self._app) as consumer:
                for topic, begin, end in await _stretches(consumer, table.changelog_topic_name, partitions):
                    past = PastPartition(topic.partition, table.clone(), Reach(at))
                    await _restore(consumer, past, topic, begin, end)
                    found.append(await read(past))
                    reach.append(past.reach)
        except TimeoutError:
            raise RequestError(
                504, f"the changelog was not read within {self._seconds:g} s: ask for fewer partitions"
            ) from None
        except OffsetOutOfRangeError:
            raise RequestError(503, "the changelog was cut while it was read, ask again") from None
        except KafkaError as error:
            raise RequestError(
                503, f"the broker does not answer: {type(error).__name__}, ask again"
            ) from None
        return found, reach


async def _stretches(
    consumer: AIOKafkaConsumer, topic: str, partitions: Iterable[int]
) -> list[tuple[TopicPartition, int, int]]:
    """Return partitions with their first offset, and the one after their last."""
    if topic not in await consumer.topics():
        raise RequestError(503, f"the changelog {topic} does not exist")
    tps = [TopicPartition(topic, number) for number in partitions]
    begin, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return [(tp, begin[tp], end[tp]) for tp in tps]


async def _restore(
    consumer: AIOKafkaConsumer, past: PastPartition, topic: TopicPartition, begin: int, end: int
) -> None:
    consumer.assign([topic])
    consumer.seek(topic, begin)
    while await consumer.position(topic) < end:
        for batches in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for batch in filter(len, batches):
                _apply(past, batch)
                await asyncio.sleep(0)


def _apply(past: PastPartition, batch: Any) -> None:
    try:
        restore(past.table, batch, past.reach)
    except ValueError as error:
        where = f"{batch.tp.topic}[{batch.tp.partition}] offsets {batch.first_offset} to {batch.last_offset}"
        raise RequestError(500, f"an entry of {where} cannot be read: {error}") from None


@asynccontextmanager
async def _consumer(app: BatchApp) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer without a group, with the app's broker, credentials and limits, that reads columns."""
    conf = app.conf
    transport: Any = app.transport
    consumer = AIOKafkaConsumer(
        bootstrap_servers=server_list(transport.url, transport.default_port),
        client_id=conf.broker_client_id,
        request_timeout_ms=int(conf.broker_request_timeout * 1000),
        max_partition_fetch_bytes=conf.consumer_max_fetch_size,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        check_crcs=conf.broker_check_crcs,
        enable_auto_commit=False,
        auto_offset_reset="none",
        **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
    )
    try:
        await consumer.start()
        deliver_columns(consumer)
        yield consumer
    finally:
        await consumer.stop()
