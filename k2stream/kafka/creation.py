"""Creates topics, and decides what a missing topic means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from k2stream import topics
from k2stream.kafka import counts, groups
from k2stream.kafka.admin import Admin, connected
from k2stream.model.errors import ConfigError, StateRefused, Unavailable, mending
from k2stream.model.roles import role_of
from k2stream.settings import KafkaSettings

SHOWN_SECONDS = 60.0

_GROUPS_TOPIC = "__consumer_offsets"
_PAUSE_SECONDS = 0.1


async def ensure_topics(
    settings: KafkaSettings,
    declared: Sequence[topics.Topic],
    *,
    recreate: Collection[str] = (),
    leave: bool = False,
) -> None:
    """Create the missing topics; safe when several workers do it at once.

    A missing topic is lost if one of the platform's groups has read it, or, for the changelog of a table, if
    the table's own group has read its source. A lost topic raises StateRefused, unless it is in `recreate` or
    `leave` keeps it missing. Raises ConfigError when a topic exists with another
    partition count, when a change of counts was interrupted, or the broker cannot be reached.
    """
    async with connected(settings) as admin:
        existing = set(await admin.list_topics())
        if changing := counts.interrupted(existing):
            raise ConfigError(
                f"a change of partition counts has not ended: run `k2 partitions {changing.name} "
                f"{changing.after}` to its end before workers are started"
            )
        missing = [topic for topic in declared if topic.name not in existing]
        if missing and _GROUPS_TOPIC in existing:
            lost = await _lost(admin, [topic for topic in missing if topic.name not in recreate])
            if lost and not leave:
                raise StateRefused(_said(lost))
            missing = [topic for topic in missing if topic.name not in lost]
            declared = [topic for topic in declared if topic.name not in lost]
        if missing:
            await _create(admin, missing, settings)
        await _check_partitions(admin, declared, settings.bootstrap)


async def lost_topics(settings: KafkaSettings, names: Collection[str]) -> list[str]:
    """Those of the named topics that do not exist although one of the platform's groups has read them."""
    async with connected(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics.declared(settings) if topic.name in set(names) - existing]
        return list(await _lost(admin, missing)) if _GROUPS_TOPIC in existing else []


async def _lost(admin: Admin, missing: Sequence[topics.Topic]) -> dict[str, tuple[str, str]]:
    """The lost ones of missing topics, each with the group, and the topic that the group has read."""
    found: dict[str, tuple[str, str]] = {}
    for group in groups.GROUPS if missing else ():
        offsets = await groups.offsets(admin, group)
        read = {tp.topic for tp, given in offsets.items() if given.offset > 0}
        for topic in missing:
            theirs = topic.source and not topic.name.startswith(f"{group}-")  # the table of another group
            if not theirs and (source := topic.source or topic.name) in read:
                found.setdefault(topic.name, (group, source))
    return found


def _said(lost: dict[str, tuple[str, str]]) -> str:
    name, (group, source) = next(iter(lost.items()))
    others = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    return (
        f"topic {name}{others} does not exist, but group {group} has read {source}: it was lost or deleted; "
        f"{mending(name, '' if source == name else role_of(group))}"
    )


async def _create(admin: Admin, missing: list[topics.Topic], settings: KafkaSettings) -> None:
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
        pass  # another worker was faster; the partition check below decides
    except KafkaError as error:
        raise ConfigError(
            f"topics cannot be created at {settings.bootstrap}: {error}; check K2_KAFKA_REPLICATION "
            "and the rights of this user"
        ) from None


async def _check_partitions(admin: Admin, declared: Sequence[topics.Topic], bootstrap: str) -> None:
    shown = await _shown(admin, [topic.name for topic in declared], bootstrap)
    for topic in declared:
        if (found := shown[topic.name]) != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {found} partitions, the settings say {topic.partitions}: "
                "set K2_*_PARTITIONS to match; `k2 partitions` changes a count, see docs/operations/change.md"
            )


async def _shown(admin: Admin, names: Sequence[str], bootstrap: str) -> dict[str, int]:
    """Partition counts by topic. Brokers that are busy show a new topic seconds after they have made it."""
    deadline = time.monotonic() + SHOWN_SECONDS
    while True:
        found = await counts.shown(admin, names)
        if not (hidden := [name for name in names if not found.get(name)]):
            return found
        if time.monotonic() >= deadline:
            raise Unavailable(
                f"the brokers at {bootstrap} do not show {', '.join(hidden)} within {SHOWN_SECONDS:g} s: see "
                "their logs, and start again"
            )
        await asyncio.sleep(_PAUSE_SECONDS)
