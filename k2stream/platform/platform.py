"""The whole platform on one machine: embedded stack, simulated exchanges, and all workers.

There is one worker per role, and one ingest worker per exchange.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from k2stream import proxies, topics
from k2stream.embedded.errors import StackError
from k2stream.embedded.ports import HOST, check_free, free_port, is_free, next_free
from k2stream.embedded.process import Child
from k2stream.embedded.stack import Stack
from k2stream.embedded.waiting import announced
from k2stream.kafka import counts
from k2stream.kafka.creation import ensure_topics
from k2stream.model.errors import StateRefused
from k2stream.platform import mended
from k2stream.platform.addresses import SERVICE_PORT, local_settings, save
from k2stream.platform.restarts import LONGEST_SECONDS, Restarts
from k2stream.settings import FeedSettings, Settings, environment, replace, value_of

_WORKER_GRACE = 5.0  # seconds that a stopping worker has to finish and commit
_SIMULATOR_GRACE = 1.0
_READY_WITHIN = 180.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """How the simulated exchanges behave; a platform with None instead connects to the real ones."""

    rate: int = 200
    seed: int = 7
    ahead_seconds: float = 0.0
    """How far their clocks are ahead of the local clock; negative if they are behind."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker process: its role and, for ingest, its exchange."""

    role: str
    exchange: str = ""

    @property
    def name(self) -> str:
        """Name of the worker in logs and views."""
        return f"{self.role}-{self.exchange}" if self.exchange else self.role


WORKERS = (
    WorkerSpec("certify"),
    WorkerSpec("cold"),
    WorkerSpec("hot"),
    WorkerSpec("candles"),
    WorkerSpec("normalize"),
    *(WorkerSpec("ingest", name) for name in topics.EXCHANGES),
)
"""All workers, in start order: consumers before producers."""

NICENESS = {"cold": 10, "certify": 10}
"""Niceness by role: on few cores, candles take precedence over what has minutes."""


SHARED = (
    *("exchanges", "simulated", "grace_seconds", "idle_seconds", "candle_retention"),
    *(f"{name}_partitions" for name in counts.NAMES),
    *(f"{name}_{kind}_url" for name in topics.EXCHANGES for kind in ("ws", "rest")),
)
"""Settings that commands take from a running platform instead of from their own environment."""


class Platform:
    """The platform on one machine, as an async context manager that starts and stops everything."""

    def __init__(
        self,
        settings: Settings,
        simulation: Simulation | None,
        on_step: Callable[[str], None] = lambda text: None,
        *,
        secure: bool = False,
        workers: Sequence[WorkerSpec] = WORKERS,
    ) -> None:
        self.settings = settings
        self.control_url = ""
        self.workers: dict[str, Child] = {}
        self.urls: dict[str, str] = {}
        self.service_url = ""
        """Base URL of REST and streams for clients."""
        self.refused: dict[str, str] = {}
        """The message of each worker that refused its state and is not started again."""
        self.restarts: Counter[str] = Counter()
        self.longest_pause = LONGEST_SECONDS  # seconds before a worker that keeps dying is restarted
        self._ended: defaultdict[str, Restarts] = defaultdict(Restarts)
        self._started: dict[str, float] = {}
        self._mended: dict[str, float] = {}  # when a role's state was last found to be mended
        self._ports: dict[str, int] = {}
        self._simulation, self._specs = simulation, workers
        self._on_step = on_step
        self._simulator: Child | None = None
        self.stack = Stack(
            settings.local.data_path,
            Path(settings.local.cache_dir),
            heap_mb=settings.local.broker_heap_mb,
            on_step=on_step,
            secure=secure,
        )
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything and wait until it is ready. Raises StackError naming what did not start."""
        proxies.except_local()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *details: object) -> None:
        """Stop everything: see `stop`."""
        await self.stop()

    async def _start(self) -> None:
        await self._entered.enter_async_context(self.stack)
        self.settings = local_settings(self.settings, self.stack.endpoints)
        client = httpx.AsyncClient(timeout=5, **self.settings.worker.web_connection)
        self._http = await self._entered.enter_async_context(client)
        if self._simulation:
            await self._start_simulator(self._simulation)
        existing, _ = await counts.found(self.settings.kafka)
        self.settings = counts.agreeing(self.settings, existing, unset_only=True)
        self._choose_service_port()
        if self._specs:
            await ensure_topics(self.settings.kafka, topics.declared(self.settings.kafka), leave=True)
            await self.start_workers(self._specs)

    async def start_workers(self, specs: Sequence[WorkerSpec]) -> None:
        """Start workers in this order, and wait until they are ready."""
        for spec in specs:
            await self._start_worker(spec)
        self._save_addresses()
        self._on_step(f"workers: {', '.join(self.workers)}")
        ready: set[str] = set()
        async with announced(lambda: ", ".join(sorted(self.workers.keys() - ready)), self._on_step):
            await asyncio.gather(*(self._until_ready(name, ready) for name in self.workers))

    def _choose_service_port(self) -> None:
        wanted = self.settings.service.port
        port = check_free(wanted, "K2_SERVICE_PORT") if wanted else next_free(SERVICE_PORT)
        if port not in (wanted, SERVICE_PORT):
            self._on_step(f"port {SERVICE_PORT} is in use on {HOST}: the service listens on {port}")
        self.settings = replace(self.settings, service_port=port)
        self.service_url = f"{self.settings.service.scheme}://{HOST}:{port}"

    async def _start_simulator(self, simulation: Simulation) -> None:
        command = [sys.executable, "-m", "k2stream", "simulate", "--json"]
        command += ["--rate", str(simulation.rate), "--seed", str(simulation.seed)]
        command += ["--ahead", str(simulation.ahead_seconds)]
        log, environ = self._log("simulate"), self._environment(self.settings)
        answers = log.with_suffix(".out")
        child = await Child.spawn("simulate", command, log, env=environ, output=answers)
        self._simulator = child

        async def announced() -> bool:
            return "\n" in answers.read_text()

        await child.until_ready(announced, _READY_WITHIN)
        ready = json.loads(answers.read_text().partition("\n")[0])
        self.control_url = ready["control_url"]
        feeds = self.settings.feeds
        own = [name for name in topics.EXCHANGES if feeds.is_moved(name)]
        urls = {f"{name}_ws_url": ready[name] for name in topics.EXCHANGES if name not in own}
        urls |= {
            f"{name}_rest_url": ready["rest"][name]
            for name in topics.EXCHANGES
            if name not in own and feeds.rest_urls[name] == FeedSettings().rest_urls[name]
        }
        self.settings = replace(self.settings, simulated=True, **urls)
        self._on_step(f"SIMULATED exchanges: {simulation.rate} trades/s, seed {simulation.seed}")
        for name in own:
            self._on_step(f"{name}: {self.settings.feeds.ws_url(name)}, as K2_{name.upper()}_WS_URL says")

    async def _start_worker(self, spec: WorkerSpec) -> None:
        before = self._ports.get(spec.name, 0)
        port = self._ports[spec.name] = before if before and is_free(before) else free_port()
        mine = replace(self.settings, exchange=spec.exchange, web_port=port)
        command = [sys.executable, "-m", "k2stream", "worker", spec.role]
        self.urls[spec.name] = f"{self.settings.worker.web_scheme}://{HOST}:{port}"
        self._started[spec.name] = time.monotonic()
        self.workers[spec.name] = await Child.spawn(
            spec.name,
            command,
            self._log(spec.name),
            env=self._environment(mine),
            niceness=NICENESS.get(spec.role, 0),
        )

    async def _until_ready(self, name: str, ready: set[str]) -> None:
        child = self.workers[name]
        try:
            await child.until_ready(self._probe(name), _READY_WITHIN)
        except StackError:
            if child.returncode != StateRefused.exit_code:
                raise
            self._refuse(name, child)
        ready.add(name)

    def _refuse(self, name: str, child: Child) -> None:
        if name not in self.refused:
            self.refused[name] = child.error()
            self._save_addresses()
            self._on_step(f"{name} refused its state and is not started again: {self.refused[name]}")

    def _probe(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def probe() -> bool:
            try:
                return (await self._http.get(f"{self.urls[name]}/health")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        return probe

    def _environment(self, settings: Settings) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("K2_")}
        return {**inherited, **environment(settings)}

    def _log(self, name: str) -> Path:
        return self.settings.local.data_path / "logs" / f"{name}.log"

    def _save_addresses(self) -> None:
        shared = {name: value_of(self.settings, name) for name in SHARED}
        saved = {"urls": self.urls, "service": self.service_url, "settings": shared, "refused": self.refused}
        save(self.settings.local.data_path, saved)

    @property
    def _children(self) -> list[Child]:
        simulator = [self._simulator] if self._simulator else []
        return [*self.stack.children.values(), *simulator, *self.workers.values()]

    async def stop_feeds(self) -> None:
        """Stop the simulated exchanges' trading; their connections stay open."""
        (await self._http.post(f"{self.control_url}/stop-feeds")).raise_for_status()

    async def start_feeds(self) -> None:
        """Resume the simulated exchanges' trading."""
        (await self._http.post(f"{self.control_url}/start-feeds")).raise_for_status()

    async def is_ready(self) -> bool:
        """Whether every worker is ready."""
        return all(await asyncio.gather(*(self._probe(name)() for name in self.workers)))

    async def heal(self) -> None:
        """Restart workers that have died, except those that refused their state and need an operator.

        A worker that keeps dying is restarted with growing delays, while the others run on. Raises StackError
        with the tail of the log when a part of the stack or the simulated exchanges have died.
        """
        self.stack.check()
        if self._simulator and self._simulator.returncode is not None:
            raise StackError(self._simulator.exit_report())
        await self._start_mended()
        for spec in WORKERS:
            child = self.workers.get(spec.name)
            if child is None:
                continue
            if child.returncode == StateRefused.exit_code and not self._mended_since_start(spec):
                self._refuse(spec.name, child)
            elif child.returncode is not None:
                await self._restart(spec, child)

    async def _restart(self, spec: WorkerSpec, child: Child) -> None:
        name, now = spec.name, time.monotonic()
        if self._ended[name].at is None:
            self._ended[name] = self._ended[name].ended(self._started.get(name, now), now, self.longest_pause)
            delay = (self._ended[name].at or now) - now
            self._on_step(f"restarting{f' in {delay:g} s' if delay else ''}: {child.exit_report()}")
        if now >= (self._ended[name].at or now):
            self._ended[name] = self._ended[name].again()
            self.restarts[name] += 1
            await self._start_worker(spec)
            self._save_addresses()

    async def _start_mended(self) -> None:
        if roles := mended.take(self.settings.local.data_path):
            self._mended |= dict.fromkeys(roles, time.monotonic())
            for spec in WORKERS:
                if spec.role in roles and self.refused.pop(spec.name, ""):
                    await self._start_worker(spec)
            self._save_addresses()

    def _mended_since_start(self, spec: WorkerSpec) -> bool:
        """Whether what a worker has refused is not what it would find now."""
        return self._mended.get(spec.role, 0.0) > self._started.get(spec.name, math.inf)

    def memory(self) -> dict[str, int]:
        """Memory of every process in bytes, by process name: what they share counts once in their sum."""
        return {child.name: used for child in self._children if (used := child.memory()) is not None}

    def pids(self) -> dict[str, int]:
        """The process id of every process, by process name."""
        return {child.name: child.pid for child in self._children}

    async def stop_workers(self) -> None:
        """Stop the workers; they are not started again."""
        await asyncio.gather(*(child.stop(_WORKER_GRACE) for child in self.workers.values()))
        self.workers.clear()

    async def stop(self) -> None:
        """Stop the workers, then the simulated exchanges, then the stack, within 10 seconds."""
        await asyncio.gather(*(child.stop(_WORKER_GRACE) for child in self.workers.values()))
        if self._simulator:
            await self._simulator.stop(_SIMULATOR_GRACE)
        await self._entered.aclose()
