"""Starts and supervises the embedded stack: broker, registry and ClickHouse engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from k2stream.embedded import datadir, jars
from k2stream.embedded.endpoints import Endpoints
from k2stream.embedded.errors import StackError
from k2stream.embedded.front import ClickHouseServer
from k2stream.embedded.guard import StackGuard
from k2stream.embedded.kafka import Broker
from k2stream.embedded.ports import check_free, free_port, is_free
from k2stream.embedded.process import Child
from k2stream.embedded.registry import Registry
from k2stream.embedded.training import train
from k2stream.embedded.waiting import announced

__all__ = ["Endpoints", "Stack"]

_GRACE = 1.8  # seconds that a part has to end before it is killed; the three end one by one
_PORTS = ("kafka_port", "registry_port", "clickhouse_port", "clickhouse_http_port")


class Stack:
    """The embedded stack, as an async context manager that runs it and owns its data folder.

    Port 0 means the folder's last port if still free, else any free one. `on_step` is called with one line
    per step, in the event loop. `secure` guards a new folder with TLS and passwords, which it then keeps;
    `training` writes the AOT caches in the background of a first run. Enter it
    in the event loop of the main thread (see Child). `endpoints` is set once entered.
    """

    def __init__(
        self,
        data_dir: Path,
        cache_dir: Path,
        *,
        kafka_port: int = 0,
        registry_port: int = 0,
        clickhouse_port: int = 0,
        clickhouse_http_port: int = 0,
        heap_mb: int = 256,
        on_step: Callable[[str], None] = lambda text: None,
        training: bool = True,
        secure: bool = False,
    ) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.children: dict[str, Child] = {}  # by name: kafka, registry, clickhouse
        self._cache = cache_dir.expanduser().absolute()
        self._heap_mb = heap_mb
        self._ports = dict(
            zip(_PORTS, (kafka_port, registry_port, clickhouse_port, clickhouse_http_port), strict=True)
        )
        self._say = on_step
        self._training = training
        self._secure = secure
        self._services: dict[str, Broker | Registry | ClickHouseServer] = {}
        self._trainer: asyncio.Task[None] | None = None
        self._ownership = ExitStack()

    async def __aenter__(self) -> Self:
        """Start the parts concurrently and wait until all are ready; a failure stops all of them.

        Raises StackError: folder in use, port in use, download failed, or a part did not start.
        """
        self._ownership.enter_context(datadir.owned(self.data_dir))
        try:
            guard = self._guarded()
            class_path, home = await self._fetch()
            self.endpoints = self._choose_ports()
            broker, registry, clickhouse = self._plan(class_path, home, guard)
            self._services = {service.name: service for service in (broker, registry, clickhouse)}
            await self._start_all()
            datadir.remember(self.endpoints)
        except BaseException:
            await self._stop()
            raise
        if self._training and not (broker.trained and registry.trained):
            self._trainer = asyncio.create_task(train((broker, registry), self._cache, self._say))
        return self

    async def __aexit__(self, *details: object) -> None:
        """Stop everything within 6 seconds, in reverse order, and release the folder."""
        await self._stop()

    def check(self) -> None:
        """Raise StackError with the tail of the log if a part has died."""
        for child in self.children.values():
            if child.returncode is not None and not child.stopping:
                raise StackError(child.exit_report())

    async def restart(self, name: str) -> None:
        """Restart a part (kafka, registry, clickhouse), running or dead, on its folder and ports.

        Raises StackError when it does not start.
        """
        await self.children[name].stop(_GRACE)
        await self._start(name)

    def _guarded(self) -> StackGuard | None:
        """The guard of the folder, if it has one or is to get one."""
        guard = StackGuard.of(self.data_dir)
        if guard.exists:
            return guard
        if not self._secure:
            return None
        if (self.data_dir / "kafka" / "log" / "meta.properties").exists():
            raise StackError(
                f"{self.data_dir} was made without --secure, and its broker knows no user: set K2_DATA_DIR "
                "to a new folder, or `k2 reset`"
            )
        guard.make()
        return guard

    async def _fetch(self) -> tuple[list[Path], Path]:
        loop = asyncio.get_running_loop()
        interrupted = threading.Event()

        def say(text: str) -> None:
            loop.call_soon_threadsafe(self._say, text)

        try:
            class_path = await asyncio.to_thread(jars.kafka_jars, self._cache, say, interrupted)
            return class_path, await asyncio.to_thread(jars.registry_home, self._cache, say, interrupted)
        finally:
            interrupted.set()  # ends the download thread if waiting for it was cancelled

    def _choose_ports(self) -> Endpoints:
        last = datadir.remembered(self.data_dir)
        chosen: dict[str, int] = {}
        for setting, asked in self._ports.items():
            before = getattr(last, setting, 0)
            if asked:
                chosen[setting] = check_free(asked, setting)
            elif before and is_free(before):
                chosen[setting] = before
            else:
                chosen[setting] = free_port(frozenset(chosen.values()))
        secure = StackGuard.of(self.data_dir).exists
        return Endpoints(**chosen, data_dir=self.data_dir, secure=secure)

    def _plan(
        self, class_path: list[Path], home: Path, guard: StackGuard | None
    ) -> tuple[Broker, Registry, ClickHouseServer]:
        data, logs, at = self.data_dir, self.data_dir / "logs", self.endpoints
        return (
            Broker(
                folder=data / "kafka",
                port=at.kafka_port,
                jars=tuple(class_path),
                cache=self._cache,
                log=logs / "kafka.log",
                heap_mb=self._heap_mb,
                guard=guard,
            ),
            Registry(
                folder=data / "registry",
                port=at.registry_port,
                home=home,
                cache=self._cache,
                log=logs / "registry.log",
                guard=guard,
            ),
            ClickHouseServer(
                folder=data / "clickhouse",
                port=at.clickhouse_port,
                http_port=at.clickhouse_http_port,
                log=logs / "clickhouse.log",
                guard=guard,
            ),
        )

    async def _start_all(self) -> None:
        starts = {name: asyncio.create_task(self._start(name)) for name in self._services}

        def waited_for() -> str:
            return ", ".join(name for name, start in starts.items() if not start.done())

        try:
            async with announced(waited_for, self._say):
                await asyncio.gather(*starts.values())
        finally:
            for start in starts.values():  # the others, if one has failed
                start.cancel()
            await asyncio.gather(*starts.values(), return_exceptions=True)

    async def _start(self, name: str) -> None:
        begun = time.monotonic()
        service = self._services[name]
        self.children[name] = await service.start()
        self._say(f"{name} ready on port {service.port}, {time.monotonic() - begun:.1f} s")

    async def _stop(self) -> None:
        try:
            if self._trainer:
                self._trainer.cancel()
                await asyncio.gather(self._trainer, return_exceptions=True)
            for name in reversed(self._services):
                if name in self.children:
                    await self.children[name].stop(_GRACE)
        finally:
            self._ownership.close()
