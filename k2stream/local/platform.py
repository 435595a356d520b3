"""The whole platform on one machine: embedded stack, simulated exchanges, one worker a role and exchange."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from k2stream import topics
from k2stream.kafka import ensure_topics
from k2stream.local.ports import HOST, free_port
from k2stream.local.process import Child
from k2stream.local.stack import Endpoints, Stack
from k2stream.settings import Settings, environment

NOTE = "workers.json"
_WORKER_GRACE = 5.0  # seconds to finish and commit at a stop
_READY_WITHIN = 90.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """How the simulated exchanges behave; None in its place means the real ones."""

    rate: int = 200
    seed: int = 7
    stop_after: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker process: a role, and for ingest the exchange."""

    role: str
    exchange: str = ""

    @property
    def name(self) -> str:
        """Name in logs and views."""
        return f"{self.role}-{self.exchange}" if self.exchange else self.role


WORKERS = (
    WorkerSpec("cold"),
    WorkerSpec("hot"),
    WorkerSpec("candles"),
    WorkerSpec("normalize"),
    *(WorkerSpec("ingest", name) for name in topics.EXCHANGES),
)
"""In start order: consumers before producers; stopped in reverse."""


class Platform:
    """Everything on one machine; an async context manager that starts it and stops it in order."""

    def __init__(
        self,
        settings: Settings,
        simulation: Simulation | None,
        on_step: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._given = settings
        self._simulation = simulation
        self._on_step = on_step
        self._stack: Stack | None = None
        self._simulator: Child | None = None
        self.control_url = ""
        self.workers: dict[str, Child] = {}
        self.urls: dict[str, str] = {}
        self.settings = settings

    async def __aenter__(self) -> Platform:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        self._stack = Stack(self._given.data_path, self._given, on_step=self._on_step)
        endpoints = await self._stack.start()
        self.settings = local_settings(self._given, endpoints)
        if self._simulation:
            await self._start_simulator(self._simulation)
        await ensure_topics(self.settings)
        self._on_step("workers: starting")
        for spec in WORKERS:
            await self._start_worker(spec)
        self._note()
        await asyncio.gather(
            *(self.workers[spec.name].until_ready(self._probe(spec), _READY_WITHIN) for spec in WORKERS)
        )
        self._on_step("workers: ready")

    async def _start_simulator(self, simulation: Simulation) -> None:
        command = [sys.executable, "-m", "k2stream.local.simulate", "--json"]
        command += ["--rate", str(simulation.rate), "--seed", str(simulation.seed)]
        child = await Child.spawn("simulate", command, self._log("simulate"), env=self._environment())
        self._simulator = child
        ready: dict[str, str] = {}

        async def started() -> bool:
            line = child.log.read_text().partition("\n")[0]
            if line.startswith("{") and line.endswith("}"):
                ready.update(json.loads(line))
            return bool(ready)

        await child.until_ready(started, 20)
        self.control_url = ready["control_url"]
        urls = {f"{name}_ws_url": ready[name] for name in topics.EXCHANGES}
        self.settings = msgspec.structs.replace(self.settings, simulated=True, **urls)
        self._on_step(f"simulated exchanges: {simulation.rate} trades/s, seed {simulation.seed}")

    async def _start_worker(self, spec: WorkerSpec) -> None:
        port = free_port()
        mine = msgspec.structs.replace(self.settings, exchange=spec.exchange, web_port=port)
        command = [sys.executable, "-m", "k2stream", "worker", spec.role]
        self.urls[spec.name] = f"http://{HOST}:{port}"
        self.workers[spec.name] = await Child.spawn(
            spec.name, command, self._log(spec.name), env=self._environment(mine)
        )

    def _probe(self, spec: WorkerSpec) -> Callable[[], Awaitable[bool]]:
        async def probe() -> bool:
            async with httpx.AsyncClient(timeout=2) as client:
                try:
                    return (await client.get(f"{self.urls[spec.name]}/health")).status_code == 200
                except httpx.TransportError:
                    return False

        return probe

    def _environment(self, settings: Settings | None = None) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("K2_")},
            **environment(settings or self.settings),
        }

    def _log(self, name: str) -> Path:
        return self._given.data_path / "logs" / f"{name}.log"

    def _note(self) -> None:
        note = {"simulated": self.settings.simulated, "urls": self.urls, "control_url": self.control_url}
        (self._given.data_path / NOTE).write_text(json.dumps(note, indent=1) + "\n")

    async def stop_feeds(self) -> None:
        """Make the simulated exchanges trade no more; their connections stay."""
        async with httpx.AsyncClient(timeout=5) as client:
            (await client.post(f"{self.control_url}/stop-feeds")).raise_for_status()

    def check(self) -> None:
        """Raise StackError with the tail of its log when any process has died."""
        children = [*self.workers.values(), *([self._simulator] if self._simulator else [])]
        for child in children:
            if child.returncode is not None and not child.stopping:
                from k2stream.local.errors import StackError

                raise StackError(child.obituary())
        if self._stack:
            self._stack.check()

    def memory(self) -> dict[str, int]:
        """Resident memory of every process in bytes, by name."""
        children = [*self.workers.values(), *([self._simulator] if self._simulator else [])]
        if self._stack:
            children += self._stack.children
        return {child.name: usage.rss for child in children if (usage := child.usage())}

    async def stop(self) -> None:
        """Stop feeds, then workers from source to sink, then the stack; within 10 seconds."""
        ordered = [spec.name for spec in reversed(WORKERS) if spec.name in self.workers]
        await asyncio.gather(*(self.workers[name].stop(_WORKER_GRACE) for name in ordered))
        if self._simulator:
            await self._simulator.stop(2)
        if self._stack:
            await self._stack.stop()


def local_settings(settings: Settings, endpoints: Endpoints) -> Settings:
    """The settings that reach an embedded stack."""
    return msgspec.structs.replace(
        settings,
        kafka_bootstrap=endpoints.bootstrap,
        registry_url=endpoints.registry_url,
        clickhouse_host=endpoints.clickhouse_host,
        clickhouse_port=endpoints.clickhouse_port,
    )
