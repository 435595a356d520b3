"""The embedded Kafka broker: one KRaft node of Apache Kafka on 127.0.0.1, in plain text unless guarded."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from k2stream.embedded import jvm
from k2stream.embedded.errors import StackError
from k2stream.embedded.guard import MECHANISM, USER, StackGuard, write_private
from k2stream.embedded.ports import HOST, free_port, is_free
from k2stream.embedded.process import Child
from k2stream.settings import KafkaSettings

_HERE = Path(__file__).parent
_FORMATTED_WITHIN = 60.0  # seconds
_PROPERTIES, _LOGGING = "server.properties", "log4j2.properties"  # in the broker's working directory
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_USERS = "users.arguments"


@dataclass(frozen=True)
class Broker:
    """One broker on one folder."""

    folder: Path  # its logs, configuration and temporary files
    port: int
    jars: tuple[Path, ...]
    cache: Path  # of AOT caches
    log: Path
    heap_mb: int = 256
    guard: StackGuard | None = None

    name = "kafka"

    async def start(self) -> Child:
        """Format new storage, start the broker and wait until it is ready. Raises StackError."""
        self._configure()
        if not (self.folder / "log" / "meta.properties").exists():
            await self._format()
        return await self._program().start()

    async def train(self) -> None:
        """Write the AOT cache with a run on this folder, which should be temporary."""
        self._configure()
        await self._format()
        await self._program().train(self.folder)

    @property
    def trained(self) -> bool:
        """Whether the AOT cache exists."""
        return self._program().aot.exists()

    def _program(self) -> jvm.Program:
        return jvm.Program(
            name=self.name,
            flags=(f"-Xmx{self.heap_mb}m", f"-Xms{min(64, self.heap_mb)}m", *self._paths()),
            main=("-cp", self._class_path(), "kafka.Kafka", _PROPERTIES),
            log=self.log,
            aot=jvm.aot_file(self.cache, self.name, self._class_path()),
            ready=self._serves,
            folder=self.folder,
        )

    def _paths(self) -> tuple[str, str]:
        return (
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",  # native libraries are unpacked there
            f"-Dlog4j2.configurationFile={_LOGGING}",
        )

    def _class_path(self) -> str:
        return ":".join(map(str, self.jars))

    def _configure(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        controller = free_port(frozenset({self.port}))  # only the node itself connects to it
        (self.folder / _LOGGING).write_bytes((_HERE / "kafka.log4j2.properties").read_bytes())
        text = (
            (_HERE / "kafka.properties").read_text()
            + f"listeners=CLIENT://{HOST}:{self.port},CONTROLLER://{HOST}:{controller}\n"
            f"advertised.listeners=CLIENT://{HOST}:{self.port}\n"
            f"controller.quorum.voters=1@{HOST}:{controller}\n"
            "log.dirs=log\n"
        )
        write_private(self.folder / _PROPERTIES, (text + self._secured()).encode())

    def _secured(self) -> str:
        """The properties of a guarded broker: TLS, and the passwords of its one user."""
        if self.guard is None:
            return ""
        password = self.guard.secret("kafka_sasl_password")
        module, login = "org.apache.kafka.common.security", f'username="{USER}" password="{password}"'
        jaas = "listener.name.client.{}.sasl.jaas.config=" + module + ".{} required " + login + "{};\n"
        return (
            (_HERE / "secured.properties").read_text()
            + f"ssl.keystore.location={self.guard.bundle}\n"
            + f"ssl.truststore.location={self.guard.ca}\n"
            + jaas.format("plain", "plain.PlainLoginModule", f' user_{USER}="{password}"')
            + "".join(jaas.format(kind.lower(), "scram.ScramLoginModule", "") for kind in _SCRAM)
        )

    async def _format(self) -> None:
        """Write the cluster id and the finalized features, as `kafka-storage format` does."""
        child = await Child.spawn(
            "kafka-storage",
            (
                *(jvm.JAVA, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *self._paths()),
                *("-cp", self._class_path(), "kafka.tools.StorageTool"),
                *("format", "--ignore-formatted", "-t", self._cluster_id(), "-c", _PROPERTIES),
                *self._users(),
            ),
            self.log,
            cwd=self.folder,
        )
        try:
            if await child.wait() != 0:
                raise StackError(child.exit_report())
        finally:
            await child.stop(0)
            (self.folder / _USERS).unlink(missing_ok=True)

    def _cluster_id(self) -> str:
        """The id of the cluster that a new folder belongs to: one of its own."""
        return new_cluster_id()

    def _users(self) -> tuple[str, ...]:
        """Arguments that create the user of a guarded broker, in a file: all can see a command line."""
        if self.guard is None:
            return ()
        login = f"[name={USER},password={self.guard.secret('kafka_sasl_password')}]"
        lines = [line for kind in _SCRAM for line in ("--add-scram", f"{kind}={login}")]
        write_private(self.folder / _USERS, "\n".join(lines).encode())
        return (f"@{_USERS}",)

    async def _serves(self) -> bool:
        """Whether the metadata lists the broker, which means that it is up, registered and unfenced."""
        if is_free(self.port):
            return False
        client = AIOKafkaClient(**self._clients.connection, request_timeout_ms=2_000)
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except KafkaError:
            return False
        finally:
            await client.close()

    @property
    def _clients(self) -> KafkaSettings:
        """The settings of a client."""
        bootstrap = f"{HOST}:{self.port}"
        if self.guard is None:
            return KafkaSettings(bootstrap=bootstrap)
        return KafkaSettings(
            bootstrap=bootstrap,
            security_protocol="SASL_SSL",
            sasl_mechanism=MECHANISM,
            sasl_username=USER,
            sasl_password=self.guard.secret("kafka_sasl_password"),
            tls_ca_file=str(self.guard.ca),
        )


def new_cluster_id() -> str:
    """An id for `kafka-storage format`, where a leading "-" would be parsed as an option."""
    # The first byte makes it start with a letter.
    return base64.urlsafe_b64encode(b"\x28" + uuid.uuid4().bytes[1:]).rstrip(b"=").decode()
