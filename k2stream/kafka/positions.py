"""Reads and moves a group's committed offsets while none of its workers is running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from k2stream.batch import TP, check_answers
from k2stream.kafka.client import start
from k2stream.kafka.groups import Committed
from k2stream.model.errors import ConfigError, Unavailable
from k2stream.settings import KafkaSettings


class GroupBusy(Unavailable):
    """The group has members: only they can commit."""


class GroupPositions:
    """Some partitions of a group, which are not consumed; an async context manager."""

    def __init__(self, settings: KafkaSettings, group: str, partitions: Iterable[TP]) -> None:
        self._consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **settings.connection)
        check_answers(self._consumer._client)  # noqa: SLF001 - pinned
        self._group = group
        self._partitions = [TopicPartition(*tp) for tp in partitions]

    async def __aenter__(self) -> Self:
        await start(self._consumer)
        self._consumer.assign(self._partitions)
        self._consumer.pause(*self._partitions)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def beginnings(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """The first offset that the broker retains, by partition."""
        found = await self._consumer.beginning_offsets([TopicPartition(*tp) for tp in partitions])
        return {TP(*tp): offset for tp, offset in found.items()}

    async def ends(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """The offset after the last record, by partition."""
        found = await self._consumer.end_offsets([TopicPartition(*tp) for tp in partitions])
        return {TP(*tp): offset for tp, offset in found.items()}

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset of a partition; None without one."""
        offset: int | None = await self._consumer.committed(TopicPartition(*tp))
        return offset

    async def commit(self, offsets: Mapping[TP, Committed]) -> None:
        """Commit offsets for the group. Raises GroupBusy when it has members, else ConfigError."""
        wanted = {TopicPartition(*tp): OffsetAndMetadata(*given) for tp, given in offsets.items()}
        try:
            await self._consumer.commit(wanted)
        except (CommitFailedError, IllegalStateError) as error:
            raise GroupBusy(str(error)) from error
        except KafkaError as error:  # the client has repeated what a repetition can help
            raise ConfigError(
                f"the broker refuses the offsets of group {self._group} ({error}): correct what the user of "
                "K2_KAFKA_SASL_USERNAME is granted, or the broker's limits"
            ) from error
