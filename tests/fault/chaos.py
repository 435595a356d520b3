"""Faults against a running platform: signals to its processes, bad frames from the simulated exchanges."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from k2stream import topics
from k2stream.platform.platform import WORKERS, Platform
from k2stream.simulator.faults import FaultKind
from tests.fault.lost_state import LostState
from tests.fault.platforms import recovered

ROLES = tuple(spec.name for spec in WORKERS)
PARTS = ("kafka", "registry", "clickhouse")

CLOCKS = Path(__file__).parent / "clocks"
CLOCK_SECONDS = 600
"""By which a worker's clock may be wrong."""

BEYOND_SESSION = 8.0
"""Seconds: the group gives a worker up after 6, and it wakes as a zombie."""

# What an exchange does, and how: nothing here makes a trade that the feed could not have seen.
EXCHANGE: dict[FaultKind, dict[str, Any]] = {
    FaultKind.GARBAGE: {"count": 5},
    FaultKind.BINARY: {"count": 3},
    FaultKind.TRUNCATED: {"count": 3},
    FaultKind.HUGE: {"count": 1, "bytes": 1_000_000},
    FaultKind.ERROR: {"count": 1},
    FaultKind.DUPLICATE: {"count": 20},
    FaultKind.REORDER: {"count": 10, "seconds": 2.0},
    FaultKind.DROP: {"count": 5},
    FaultKind.LATE: {"count": 5, "seconds": 120.0},
    FaultKind.AHEAD: {"count": 3, "seconds": 3600.0},
    FaultKind.ABORT: {},
    FaultKind.CLOSE: {},
    FaultKind.REFUSE: {"seconds": 5.0},
    FaultKind.SWAP: {"count": 10},
    FaultKind.SHUTDOWN: {"seconds": 1.0},
    FaultKind.TAKE_AWAY: {},
    FaultKind.REFUSE_SYMBOL: {"count": 2},
    FaultKind.LEAVE_OUT: {},
    FaultKind.RATE: {},
}


class Chaos:
    """Injects faults; `done` counts them by name. The same seed asks for the same faults."""

    def __init__(self, platform: Platform, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._platform = platform
        self._random = random.Random(seed)
        self._clocks = platform.settings.local.data_path
        self.lost = LostState(platform, self._random)

    async def any(self) -> str:
        """Inject one fault of any kind, wait until it is over, and say what it was."""
        draw = self._random.random()
        if draw < 0.10:
            await recovered(self._platform)
            return self._note(await self.lost.any())
        if draw < 0.45:
            return await self.kill(self._random.choice(ROLES))
        if draw < 0.60:
            return await self.freeze(self._random.choice(ROLES), BEYOND_SESSION)
        if draw < 0.65:
            return self.move_clock(self._random.choice(ROLES), self._random.randint(-1, 1) * CLOCK_SECONDS)
        if draw < 0.75:
            return await self.restart(self._random.choice(PARTS), self._random.uniform(0.0, 10.0))
        return await self.exchange(self._random.choice(topics.EXCHANGES), self._random.choice(list(EXCHANGE)))

    async def kill(self, role: str) -> str:
        """kill -9, and a new worker in its place."""
        worker = self._platform.workers[role]
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
        await self._platform.heal()
        return self._note(f"kill -9 {role}")

    async def freeze(self, role: str, seconds: float) -> str:
        """SIGSTOP for a while, then SIGCONT."""
        worker = self._platform.workers[role]
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        return self._note(f"stop {seconds:g} s {role}")

    async def restart(self, part: str, outage: float) -> str:
        """kill -9 of a part of the stack, and the same part again on its data after `outage` seconds."""
        stack = self._platform.stack
        child = stack.children[part]
        child.stopping = True  # its end is wanted: the supervisor is not to give up
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        end = asyncio.get_running_loop().time() + outage
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.2)
            await self._platform.heal()
        await stack.restart(part)
        return self._note(f"kill -9 {part}")

    def move_clock(self, role: str, seconds: int) -> str:
        """The wall clock of one worker jumps to so many seconds off the right time, and stays so."""
        (self._clocks / role).write_text(str(seconds))
        return self._note(f"clock {seconds:+d} s {role}")

    async def exchange(self, exchange: str, kind: FaultKind) -> str:
        """Make a simulated exchange misbehave."""
        async with httpx.AsyncClient(timeout=10) as client:
            fault = {"exchange": exchange, "kind": kind.value, **EXCHANGE[kind]}
            (await client.post(f"{self._platform.control_url}/fault", json=fault)).raise_for_status()
        return self._note(f"{kind.value} {exchange}")

    def _note(self, name: str) -> str:
        self.done[name] += 1
        return name
