"""Types for the parts of aiokafka that are used here, including private parts of the pinned version.

Only type checkers read them; tests/unit/batch/test_assumptions.py checks that aiokafka matches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.structs import OffsetAndMetadata
from faust.types import RecordMetadata


class ConsumerRecord(Protocol):
    """A fetched record; its timestamp is in ms since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class InnerBuilder(Protocol):
    """Encodes the records of a batch."""

    def append(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        /,
    ) -> object | None:
        """Add a record; returns None when it does not fit."""


class BatchBuilder(Protocol):
    """A batch that is still open or waiting to be sent."""

    _builder: InnerBuilder
    _relative_offset: int

    def size(self) -> int:
        """Return the size in bytes."""

    def closed(self) -> bool:
        """Whether the batch accepts no more records."""


class WaitingBatch(Protocol):
    """A batch in the producer's accumulator that is not yet sent."""

    _builder: BatchBuilder
    future: asyncio.Future[RecordMetadata]


class Cluster(Protocol):
    """A client's metadata of its cluster."""

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        """Return the leader's broker id; None or -1 without a leader."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the partition numbers of a topic; None if the topic is unknown."""

    def topics(self) -> set[str]:
        """Return the names of all topics."""


class Client(Protocol):
    """The connections of a consumer."""

    cluster: Cluster

    def get_random_node(self) -> int | None:
        """Return a broker's id; None if no broker is known."""

    async def send(self, node: int, request: object) -> Any:
        """Return the response to a request. Raises KafkaError."""

    def force_metadata_update(self) -> object:
        """Request fresh metadata, without waiting for it."""

    async def fetch_all_metadata(self) -> Cluster:
        """Fetch the metadata of all topics. Raises KafkaError."""


class Coordinator(Protocol):
    """A consumer's membership in its group."""

    async def fetch_committed_offsets(
        self, tps: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the committed offsets, of partitions that have one."""

    async def _do_heartbeat(self) -> bool: ...


class KafkaConsumer(Protocol):
    """The interface of AIOKafkaConsumer that is used here."""

    _client: Client
    _coordinator: Coordinator
    _fetcher: Fetcher
    _fetch_max_wait_ms: int
    commit: Callable[[Mapping[TopicPartition, OffsetAndMetadata]], Awaitable[None]]

    async def beginning_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset of each partition. Raises KafkaError."""

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset after the last one of each partition. Raises KafkaError."""

    async def stop(self) -> None:
        """Leave the group and close connections."""


class PartitionState(Protocol):
    """Fetch state of a partition; `timestamp` is the time of the last response, in ms since 1970."""

    timestamp: int | None

    def await_reset(self, strategy: int) -> None:
        """Determine a new position by a reset strategy."""


class Assignment(Protocol):
    """The assigned partitions; not `active` once a newer assignment exists."""

    active: bool

    def state_value(self, tp: TopicPartition) -> PartitionState:
        """Return the state of one partition."""


class FetchRequest(Protocol):
    """A fetch request: by topic its partitions, each as a tuple that starts with number and offset."""

    topics: Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
