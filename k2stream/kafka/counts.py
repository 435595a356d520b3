"""Partition counts of topics: what they are, how they grow, and which change of them has not ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from k2stream import topics
from k2stream.batch import TP
from k2stream.kafka.admin import Admin, connected
from k2stream.kafka.deletion import delete_before
from k2stream.kafka.producer import producing
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings, Settings, replace

NORMALIZED = "normalized"
"""The name, beside exchanges, of the count of the canonical topic and of all that derives from it."""

NAMES = (*topics.EXCHANGES, NORMALIZED)
"""The names of the counts: each is a setting."""

UNSET = 1
"""The count where no setting says one."""

_SHOWN_ATTEMPTS, _PAUSE_SECONDS = 100, 0.1


class CountChange(NamedTuple):
    """A new partition count: of the raw topic of exchange `name`, or, for "normalized", of what derives."""

    name: str
    before: int
    after: int

    @property
    def marker(self) -> str:
        """The topic that exists while the change is made."""
        return f"{topics.CHANGING}{self.name}.{self.before}.{self.after}"


def topic_of(name: str) -> str:
    """The topic whose count is the one of a name."""
    return topics.NORMALIZED if name == NORMALIZED else topics.raw(name)


def count_of(settings: KafkaSettings, name: str) -> int:
    """The count that the settings say, by name."""
    return settings.normalized_partitions if name == NORMALIZED else settings.raw_partitions(name)


def agreeing(settings: Settings, counts: Mapping[str, int], *, unset_only: bool = False) -> Settings:
    """The settings with the counts that topics have, by topic; a missing topic changes nothing.

    `unset_only`: a count that is set stays, also where the topic has another one.
    """
    found = {
        f"{name}_partitions": counts[topic_of(name)]
        for name in NAMES
        if topic_of(name) in counts and not (unset_only and count_of(settings.kafka, name) != UNSET)
    }
    return replace(settings, **found)


def interrupted(existing: Iterable[str]) -> CountChange | None:
    """The change that has begun and not ended, from the names of all topics; None without one."""
    for name in existing:
        if name.startswith(topics.CHANGING):
            of, before, after = name.removeprefix(topics.CHANGING).rsplit(".", 2)
            return CountChange(of, int(before), int(after))
    return None


async def found(settings: KafkaSettings) -> tuple[dict[str, int], CountChange | None]:
    """The partition count of every topic of the broker, and the change that has not ended."""
    async with connected(settings) as admin:
        names = await admin.list_topics()
        return await shown(admin, names), interrupted(names)


async def begin(settings: KafkaSettings, change: CountChange) -> None:
    """Mark a change as begun: from now on no worker starts. Raises ConfigError."""
    async with connected(settings) as admin:
        try:
            await admin.create_topics([NewTopic(change.marker, 1, settings.replication)])
        except TopicAlreadyExistsError:
            pass
        except KafkaError as error:
            raise ConfigError(
                f"{change.marker} cannot be created: {error}; check this user's rights"
            ) from None


async def end(settings: KafkaSettings, change: CountChange) -> None:
    """Mark a change as ended; returns once the broker shows that."""
    async with connected(settings) as admin:
        await admin.delete_topics([change.marker])
        for _ in range(_SHOWN_ATTEMPTS):
            if change.marker not in await admin.list_topics():
                return
            await asyncio.sleep(_PAUSE_SECONDS)
    raise ConfigError(
        f"{change.marker} is not deleted: allow this user to (delete.topic.enable), run it again"
    )


async def grow(settings: KafkaSettings, wanted: Mapping[str, int]) -> None:
    """Give topics more partitions, up to the wanted counts; returns once the broker shows them."""
    async with connected(settings) as admin:
        now = await shown(admin, list(wanted))
        more = {name: NewPartitions(count) for name, count in wanted.items() if now[name] < count}
        if not more:
            return
        try:
            await admin.create_partitions(more)
        except KafkaError as error:
            raise ConfigError(f"partitions cannot be added: {error}; check this user's rights") from None
        for _ in range(_SHOWN_ATTEMPTS):
            now = await shown(admin, list(wanted))
            if all(now[name] >= count for name, count in wanted.items()):
                return
            await asyncio.sleep(_PAUSE_SECONDS)
    raise ConfigError(f"the broker does not show the new partitions of {', '.join(more)}: run it again")


async def begin_at(settings: KafkaSettings, begins: Mapping[TP, int]) -> None:
    """Make the logs of partitions without records begin at offsets; the same call may be repeated."""
    async with Reader(settings) as reader, producing(settings, compressed=True) as producer:
        for tp, offset in begins.items():
            (_, end) = (await reader.retained(tp.topic, tp.partition + 1))[tp.partition]
            await producer.occupy(tp, end, offset)
    await delete_before(settings, begins)


async def shown(admin: Admin, names: Sequence[str]) -> dict[str, int]:
    """The partition counts that the brokers show, by topic; 0 for one that they do not show yet."""
    described = await admin.describe_topics(list(names)) if names else []
    return {item["topic"]: len(item["partitions"]) for item in described}
