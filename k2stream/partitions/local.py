"""How a stopped `k2 up` comes to rest: only what is missing is read. Needs the extra `local`."""

from __future__ import annotations

import asyncio
import time

from k2stream.model.errors import ConfigError
from k2stream.partitions.rest import DRAINED, lagging
from k2stream.platform.platform import WORKERS, Platform

DRAIN_SECONDS, PAUSE_SECONDS = 300.0, 0.5


async def drain(platform: Platform) -> None:
    """Let the workers of a platform without any read everything, and stop them. Raises ConfigError."""
    if not await lagging(platform.settings):
        return
    await platform.start_workers([spec for spec in WORKERS if spec.role in DRAINED])
    deadline = time.monotonic() + DRAIN_SECONDS
    while await lagging(platform.settings):
        if time.monotonic() > deadline:
            raise ConfigError(f"not all is read within {DRAIN_SECONDS:g} s: see the logs in K2_DATA_DIR")
        await asyncio.sleep(PAUSE_SECONDS)
        await platform.heal()
    await platform.stop_workers()
