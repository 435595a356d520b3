"""The servers of a benchmark, in a scratch folder and on free ports, and their topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NonEmptyGroup
from aiokafka.protocol.admin import DeleteGroupsRequest

from k2stream.embedded import jars
from k2stream.embedded.kafka import Broker
from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.process import Child
from k2stream.embedded.registry import Registry
from k2stream.settings import current

HEAP_MB = 1024  # of a broker; it runs with the normal JIT
_STOP_WITHIN = 5.0
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Kafka:
    """A running broker."""

    bootstrap: str
    child: Child


@dataclass(frozen=True, slots=True)
class Servers:
    """One broker a kind of stage, so that inputs stay while outputs come and go, and one registry."""

    raw: Kafka  # the raw topic, and what normalising stages write
    canonical: Kafka  # the canonical topic, and what candle stages write
    registry_url: str


def cache_folder() -> Path:
    """Where downloaded and built things are kept between runs."""
    return Path(current().local.cache_dir).expanduser()


@asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[Servers]:
    """Run two brokers and a registry on a folder. Raises StackError when one does not start."""
    cache = cache_folder()
    class_path, home = tuple(jars.kafka_jars(cache)), jars.registry_home(cache)
    ports = [free_port() for _ in range(3)]
    programs: list[Broker | Registry] = [
        Broker(folder / name, port, class_path, cache, folder / f"{name}.log", HEAP_MB)
        for name, port in zip(("raw", "canonical"), ports, strict=False)
    ]
    programs.append(Registry(folder / "registry", ports[2], home, cache, folder / "registry.log"))
    started = await asyncio.gather(*(program.start() for program in programs), return_exceptions=True)
    children = [child for child in started if isinstance(child, Child)]
    try:
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure
        yield Servers(
            Kafka(f"{HOST}:{ports[0]}", children[0]),
            Kafka(f"{HOST}:{ports[1]}", children[1]),
            f"http://{HOST}:{ports[2]}/apis/ccompat/v7",
        )
    finally:
        await asyncio.gather(*(child.stop(_STOP_WITHIN) for child in children))


@dataclass(frozen=True, slots=True)
class NewTopics:
    """Topics to be made, all of one partition count."""

    names: tuple[str, ...]
    partitions: int


async def reset(bootstrap: str, keep: Collection[str], create: Iterable[NewTopics]) -> None:
    """Delete K2's consumer groups and every topic but those kept, then make the new ones.

    Peers use a new group each time. Records stay for ever: preloaded ones lie far in the past.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await _delete_groups(admin)
        doomed = [
            name for name in await admin.list_topics() if name not in keep and not name.startswith("__")
        ]
        if doomed:
            await admin.delete_topics(doomed)
            await _gone(admin, set(doomed))
        configs = {"retention.ms": "-1", "file.delete.delay.ms": "1000"}
        wanted = [
            NewTopic(name, topics.partitions, 1, topic_configs=configs)
            for topics in create
            for name in topics.names
            if name not in keep
        ]
        await _create(admin, wanted)
    finally:
        await admin.close()


async def _delete_groups(admin: AIOKafkaAdminClient) -> None:
    for _ in range(_TRIES):
        groups = [group[0] for group in await admin.list_consumer_groups() if group[0].startswith("k2-")]
        if not groups:
            return
        answer = await admin._send_request(DeleteGroupsRequest(groups))  # no public call for it
        if not any(code == NonEmptyGroup.errno for _, code in answer.results):
            return
        await asyncio.sleep(0.1)  # a member that was killed is dropped at the end of its session
    raise RuntimeError(f"consumer groups still have members: {groups}")


async def _gone(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the broker lists them no more: until then they would count as made."""
    for _ in range(_TRIES):
        if not names.intersection(await admin.list_topics()):
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"topics are still there after their deletion: {', '.join(sorted(names))}")


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    error: KafkaError | None = None
    for _ in range(_TRIES):
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if not missing:
            return
        try:
            await admin.create_topics(missing)
        except KafkaError as failed:  # a topic of the name is still being deleted
            error = failed
        await asyncio.sleep(0.05)
    raise RuntimeError(f"topics cannot be made: {error}")
