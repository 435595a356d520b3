"""Several real brokers instead of the embedded stack's one, which are restarted, lost and added."""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from dataclasses import replace as with_fields
from functools import cached_property
from pathlib import Path

from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from k2stream.embedded import jvm
from k2stream.embedded.endpoints import Endpoints
from k2stream.embedded.kafka import _PROPERTIES, Broker, new_cluster_id
from k2stream.embedded.ports import HOST, free_port
from k2stream.embedded.stack import Stack
from k2stream.platform.platform import Platform
from k2stream.settings import replace
from tests import kafka

BROKERS, IN_SYNC = 3, 2
STOP_SECONDS = 60.0
WITHIN_SECONDS = 120.0
_MS = 30_000

# What brokers of a cluster have, and the one broker of the embedded stack has not.
_PROPERTY = f"""
default.replication.factor={BROKERS}
min.insync.replicas={IN_SYNC}
offsets.topic.replication.factor={BROKERS}
transaction.state.log.replication.factor={BROKERS}
transaction.state.log.min.isr={IN_SYNC}
share.coordinator.state.topic.replication.factor={BROKERS}
share.coordinator.state.topic.min.isr={IN_SYNC}
# The defaults, where the embedded broker has shorter ones: three share two cores here.
broker.session.timeout.ms=9000
broker.heartbeat.interval.ms=2000
# A restarted broker leads its partitions again after this; the default is 300 s.
leader.imbalance.check.interval.seconds=5
"""


@dataclass(frozen=True)
class Member(Broker):
    """One broker of a cluster; it is a controller too if it is one of the quorum."""

    number: int = 1
    cluster: str = ""
    quorum: Mapping[int, int] = field(default_factory=dict)  # controllers' ports by broker

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"kafka-{self.number}"

    def _program(self) -> jvm.Program:
        aot = jvm.aot_file(self.cache, Broker.name, self._class_path())  # of the embedded stack's runs
        return with_fields(super()._program(), aot=aot)

    def _configure(self) -> None:
        super()._configure()
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in self.quorum.items())
        controls = self.number in self.quorum
        listeners = [f"CLIENT://{HOST}:{self.port}"]
        listeners += [f"CONTROLLER://{HOST}:{self.quorum[self.number]}"] if controls else []
        own = {
            "node.id": self.number,
            "process.roles": "broker,controller" if controls else "broker",
            "listeners": ",".join(listeners),
            "controller.quorum.voters": voters,
        }
        with (self.folder / _PROPERTIES).open("a") as file:  # a later line counts
            file.write(_PROPERTY + "".join(f"{name}={value}\n" for name, value in own.items()))

    def _cluster_id(self) -> str:
        return self.cluster

    async def _serves(self) -> bool:
        """Its own metadata has to list it: that of the others says nothing."""
        if not await super()._serves():
            return False
        async with kafka.administering(f"{HOST}:{self.port}") as admin:
            return any(broker.nodeId == self.number for broker in admin._client.cluster.brokers())


@dataclass(frozen=True)
class _Addresses(Endpoints):
    brokers: tuple[int, ...] = ()

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{HOST}:{port}" for port in self.brokers)


class Cluster(Stack):
    """The embedded stack with three brokers: replication 3, min.insync.replicas 2, three controllers.

    `bootstrap` names these three for good, whichever of them is lost.
    """

    @cached_property
    def _ports_of(self) -> dict[str, dict[int, int]]:
        chosen: list[int] = []
        for _ in range(2 * BROKERS):
            chosen.append(free_port(frozenset(chosen)))
        numbers = range(1, BROKERS + 1)
        return {
            "client": dict(zip(numbers, chosen[:BROKERS], strict=True)),
            "controller": dict(zip(numbers, chosen[BROKERS:], strict=True)),
        }

    def _choose_ports(self) -> Endpoints:
        one = super()._choose_ports()
        ports = self._ports_of["client"]
        given = {item.name: getattr(one, item.name) for item in fields(one)}
        return _Addresses(**given | {"kafka_port": ports[1]}, brokers=tuple(ports.values()))

    def _plan(self, *details):
        broker, *others = super()._plan(*details)
        self._model = broker
        self._cluster = new_cluster_id()
        self._members = {
            number: self._member(number, port) for number, port in self._ports_of["client"].items()
        }
        return (self._members[1], *others)

    def _member(self, number: int, port: int) -> Member:
        given = {item.name: getattr(self._model, item.name) for item in fields(Broker)}
        own = {
            "folder": self.data_dir / f"kafka-{number}",
            "log": self.data_dir / "logs" / f"kafka-{number}.log",
        }
        place = {"number": number, "port": port, "cluster": self._cluster}
        return Member(**given | own | place, quorum=self._ports_of["controller"])

    async def _start_all(self) -> None:
        self._services |= {member.name: member for member in self._members.values()}
        await super()._start_all()

    @property
    def brokers(self) -> list[int]:
        """The numbers of the brokers that were not lost."""
        return list(self._members)

    async def roll(self, number: int) -> None:
        """Restart a broker in order (SIGTERM), and wait until it has all of its replicas again."""
        name = f"kafka-{number}"
        await self.children[name].stop(STOP_SECONDS)
        await self._start(name)
        await self.in_sync()

    async def lose(self, number: int) -> None:
        """kill -9 of a broker, and its folder is gone."""
        member = self._members.pop(number)
        child = self.children.pop(member.name)
        child.stopping = True
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        del self._services[member.name]
        shutil.rmtree(member.folder)

    async def add(self, number: int) -> None:
        """Start one more broker, which is no controller and has nothing yet."""
        member = self._members[number] = self._member(number, free_port())
        self._services[member.name] = member
        await self._start(member.name)

    async def move(self, lost: int, added: int) -> int:
        """Give an added broker the replicas of a lost one, as kafka-reassign-partitions does; how many.

        Returns when each partition has all of its replicas.
        """
        async with kafka.administering(self._alive) as admin:
            moved: dict[str, list] = {}
            for topic in await admin.describe_topics():
                for item in topic["partitions"]:
                    if lost in item["replicas"]:
                        replicas = [added if each == lost else each for each in item["replicas"]]
                        moved.setdefault(topic["topic"], []).append((item["partition"], replicas, {}))
            asked = [(name, partitions, {}) for name, partitions in moved.items()]
            controller = admin._client.cluster.controller.nodeId
            answer = await admin._client.send(controller, AlterPartitionReassignmentsRequest(_MS, asked, {}))
            refused = [(name, *item) for name, items, _ in answer.responses for item in items if item[1]]
            assert not answer.error_code and not refused, (answer.error_message, refused[:3])
        await self.in_sync(lost)
        return sum(map(len, moved.values()))

    @property
    def _alive(self) -> str:
        return ",".join(f"{HOST}:{member.port}" for member in self._members.values())

    async def in_sync(self, lost: int = 0) -> None:
        """Wait until no replica of any partition is behind, and none is on a lost broker."""
        async with kafka.administering(self._alive) as admin, asyncio.timeout(WITHIN_SECONDS):
            while True:
                partitions = [item for topic in await admin.describe_topics() for item in topic["partitions"]]
                if all(
                    len(item["isr"]) == len(item["replicas"]) and lost not in item["replicas"]
                    for item in partitions
                ):
                    return
                await asyncio.sleep(0.2)


def on_cluster(settings, simulation):
    """A platform whose stack is a Cluster, with three replicas of every topic."""
    made = Platform(replace(settings, kafka_replication=BROKERS), simulation)
    local = settings.local
    made.stack = Cluster(local.data_path, Path(local.cache_dir), heap_mb=local.broker_heap_mb, training=False)
    return made
