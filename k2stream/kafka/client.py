"""How every Kafka client connects, and the creation of topics."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    KafkaError,
    NotCoordinatorForGroupError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
)

from k2stream import topics
from k2stream.model.errors import ConfigError, Expired, StateRefused
from k2stream.settings import KafkaSettings

GROUPS = ("k2-normalize", "k2-candles", "k2-hot", "k2-cold")
"""The consumer groups of the roles that read."""


def gap_fill_group(exchange: str) -> str:
    """The consumer group of an exchange's gap filler: what it has committed is answered."""
    return f"k2-gap-fill-{exchange}"


_GROUPS_TOPIC = "__consumer_offsets"
_ATTEMPTS, _PAUSE_SECONDS = 50, 0.2


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security_protocol,
    }
    if "SSL" in settings.security_protocol:
        options["ssl_context"] = ssl.create_default_context()
    if settings.sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    return options


@contextmanager
def all_there(what: str) -> Iterator[None]:
    """Around reads of a client with `auto_offset_reset="none"`: raise Expired where it finds no such offset.

    Any other setting goes on elsewhere without a word, and takes an expired stretch for an empty one.
    """
    try:
        yield
    except OffsetOutOfRangeError as error:
        lost = ", ".join(f"{tp.topic}[{tp.partition}] has no offset {at}" for tp, at in error.args[0].items())
        raise Expired(
            f"{what}: {lost} (any more): it expired while it was read, or the topic was made anew; try again"
        ) from None


async def ensure_topics(
    settings: KafkaSettings,
    declared: Sequence[topics.Topic],
    *,
    anew: Collection[str] = (),
    leave: bool = False,
) -> None:
    """Create the topics that are missing; safe when several workers do it at once.

    One in which a group of ours has read, or of a table whose own group has read its source, is lost: that
    raises StateRefused, unless it is named by `anew`, or it is left missing where the caller does not need
    it (`leave`). Raises ConfigError when a topic exists with another partition count, or the broker cannot be
    reached.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
    except KafkaConnectionError:
        await admin.close()
        raise ConfigError(
            f"no Kafka broker at {settings.bootstrap}; start one with `k2 up` or set K2_KAFKA_BOOTSTRAP"
        ) from None
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in declared if topic.name not in existing]
        if missing and _GROUPS_TOPIC in existing:
            lost = await _lost(admin, [topic for topic in missing if topic.name not in anew])
            if lost and not leave:
                raise StateRefused(_said(lost))
            missing = [topic for topic in missing if topic.name not in lost]
            declared = [topic for topic in declared if topic.name not in lost]
        if missing:
            await _create(admin, missing, settings)
        await _check_partitions(admin, declared)
    finally:
        await admin.close()


async def _lost(admin: AIOKafkaAdminClient, missing: Sequence[topics.Topic]) -> dict[str, tuple[str, str]]:
    """Of missing topics those that were read, or made from what was read: the group, and what it read."""
    found: dict[str, tuple[str, str]] = {}
    for group in GROUPS if missing else ():
        offsets = await _offsets(admin, group)
        read = {tp.topic for tp, given in offsets.items() if given.offset > 0}
        for topic in missing:
            theirs = topic.source and not topic.name.startswith(f"{group}-")  # the table of another group
            if not theirs and (source := topic.source or topic.name) in read:
                found.setdefault(topic.name, (group, source))
    return found


async def _offsets(admin: AIOKafkaAdminClient, group: str) -> Mapping[Any, Any]:
    for _ in range(_ATTEMPTS):
        try:
            found: Mapping[Any, Any] = await admin.list_consumer_group_offsets(group)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError):
            await asyncio.sleep(_PAUSE_SECONDS)  # a broker that has just started
        else:
            return found
    raise ConfigError(f"the broker does not say what group {group} has read: try again")


def _said(lost: dict[str, tuple[str, str]]) -> str:
    name, (group, source) = next(iter(lost.items()))
    others = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return (
        f"topic {name}{others} does not exist, but group {group} has read {source}: it was lost or deleted; "
        f"`k2 mend {group.removeprefix('k2-')}` says what can be done"
    )


async def _create(admin: AIOKafkaAdminClient, missing: list[topics.Topic], settings: KafkaSettings) -> None:
    new = [
        NewTopic(
            topic.name,
            topic.partitions,
            settings.replication,
            topic_configs={"retention.ms": str(topic.retention_ms), **topic.config},
        )
        for topic in missing
    ]
    try:
        await admin.create_topics(new)
    except TopicAlreadyExistsError:
        pass  # another worker was faster; the partition check below has the last word
    except KafkaError as error:
        raise ConfigError(f"topics cannot be created at {settings.bootstrap}: {error}") from None


async def _check_partitions(admin: AIOKafkaAdminClient, declared: Sequence[topics.Topic]) -> None:
    names = [topic.name for topic in declared]
    for _ in range(50):
        described = {item["topic"]: len(item["partitions"]) for item in await admin.describe_topics(names)}
        if all(described.get(name) for name in names):
            break
        await asyncio.sleep(0.1)  # metadata of a topic just created
    for topic in declared:
        found = described.get(topic.name)
        if found != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {found} partitions, the settings say {topic.partitions}: "
                "set K2_*_PARTITIONS to match; changing a count moves keys, see docs/operations.md"
            )
