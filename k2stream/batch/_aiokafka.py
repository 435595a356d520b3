"""What is relied on of aiokafka, which has no types: of the pinned version, private parts too.

Only type checkers read these; tests/unit/batch/test_assumptions.py holds that the parts are as said here.
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
    """A record that was read; its timestamp in ms since 1970."""

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
        """None when the record does not fit."""


class BatchBuilder(Protocol):
    """A batch that is still open, or waits to be sent."""

    _builder: InnerBuilder
    _relative_offset: int

    def size(self) -> int:
        """Bytes."""

    def closed(self) -> bool:
        """Whether it is complete."""


class WaitingBatch(Protocol):
    """A batch of the producer's accumulator that is not under way."""

    _builder: BatchBuilder
    future: asyncio.Future[RecordMetadata]


class Cluster(Protocol):
    """What a client knows of its cluster."""

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        """The broker's id; None or -1 without a leader."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """None of a topic that is not known."""

    def topics(self) -> set[str]:
        """Names of all topics."""


class Client(Protocol):
    """The connections of a consumer."""

    cluster: Cluster

    def get_random_node(self) -> int | None:
        """A broker's id."""

    async def send(self, node: int, request: object) -> Any:
        """The response, of the type that belongs to the request; raises KafkaError."""

    def force_metadata_update(self) -> object:
        """Ask for the metadata anew, without waiting."""

    async def fetch_all_metadata(self) -> Cluster:
        """Of all topics; raises KafkaError."""


class Coordinator(Protocol):
    """A consumer's place in its group."""

    async def fetch_committed_offsets(
        self, tps: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Only those that are committed."""

    async def _do_heartbeat(self) -> bool: ...


class KafkaConsumer(Protocol):
    """AIOKafkaConsumer."""

    _client: Client
    _coordinator: Coordinator
    _fetcher: Fetcher
    _fetch_max_wait_ms: int
    commit: Callable[[Mapping[TopicPartition, OffsetAndMetadata]], Awaitable[None]]

    async def beginning_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Raises KafkaError."""

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Raises KafkaError."""

    async def stop(self) -> None:
        """Leave the group."""


class PartitionState(Protocol):
    """How far a partition is fetched; `timestamp` is when an answer last came, in ms since 1970."""

    timestamp: int | None

    def await_reset(self, strategy: int) -> None:
        """Find a position anew."""


class Assignment(Protocol):
    """The partitions that are fetched; not `active` once there is another."""

    active: bool

    def state_value(self, tp: TopicPartition) -> PartitionState:
        """Of one partition."""


class FetchRequest(Protocol):
    """By topic: partitions, each with its offset and what else is asked."""

    topics: Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
