"""The embedded schema registry: Apicurio with its Confluent-compatible API, on an H2 file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from k2stream.embedded import jvm
from k2stream.embedded.guard import StackGuard
from k2stream.embedded.ports import HOST
from k2stream.embedded.process import Child
from k2stream.settings.tls import Tls, client_context


@dataclass(frozen=True)
class Registry:
    """One registry on one folder. Compatibility is NONE until a client sets it."""

    folder: Path  # its database and temporary files
    port: int
    home: Path  # the unpacked distribution
    cache: Path  # of AOT caches
    log: Path
    guard: StackGuard | None = None  # TLS alone: it knows no users without a server for them

    name = "registry"

    async def start(self) -> Child:
        """Start it and wait until the API answers. Raises StackError."""
        self._configure()
        return await self._program().start()

    async def train(self) -> None:
        """Write the AOT cache with a run on this folder, which should be temporary."""
        self._configure()
        await self._program().train(self.folder)

    @property
    def trained(self) -> bool:
        """Whether the AOT cache exists."""
        return self._program().aot.exists()

    def _configure(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)

    def _program(self) -> jvm.Program:
        (runner,) = self.home.glob("*-runner.jar")
        return jvm.Program(
            name=self.name,
            flags=(
                "-Xmx256m",
                "-Xms48m",
                "-XX:TieredStopAtLevel=1",  # C1 alone starts faster, and there are few requests
                f"-Djava.io.tmpdir={self.folder / 'tmp'}",
                f"-Dquarkus.http.host={HOST}",
                *self._listening(),
                "-Dquarkus.log.level=WARN",
                '-Dquarkus.log.category."io.apicurio".level=WARN',
                "-Dquarkus.http.access-log.enabled=false",
                "-Dquarkus.banner.enabled=false",
                "-Dapicurio.storage.kind=sql",
                "-Dapicurio.storage.sql.kind=h2",
                # Without WRITE_DELAY=0 a kill loses the schemas acknowledged in the last 500 ms.
                "-Dapicurio.datasource.url=jdbc:h2:file:./db;WRITE_DELAY=0",
            ),
            main=("-jar", str(runner)),
            log=self.log,
            aot=jvm.aot_file(self.cache, self.name, str(runner)),
            ready=self._serves,
            folder=self.folder,
        )

    def _listening(self) -> tuple[str, ...]:
        if self.guard is None:
            return (f"-Dquarkus.http.port={self.port}",)
        return (
            "-Dquarkus.http.insecure-requests=disabled",
            f"-Dquarkus.http.ssl-port={self.port}",
            f"-Dquarkus.http.ssl.certificate.files={self.guard.certificate}",
            f"-Dquarkus.http.ssl.certificate.key-files={self.guard.key}",
        )

    async def _serves(self) -> bool:
        url, verify = f"http://{HOST}:{self.port}", client_context()
        if self.guard is not None:
            url, verify = f"https://{HOST}:{self.port}", client_context(Tls(str(self.guard.ca)))
        async with httpx.AsyncClient(trust_env=False, verify=verify) as client:
            try:
                answer = await client.get(f"{url}/apis/ccompat/v7/subjects", timeout=2)
            except httpx.HTTPError:
                return False
        return answer.status_code == httpx.codes.OK
