"""Says what a slow start waits for, so that it is not taken for a standstill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

EVERY_SECONDS = 10.0


@asynccontextmanager
async def announced(
    waited_for: Callable[[], str], say: Callable[[str], None], every: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """While the block runs, say every so many seconds what is waited for; nothing while that is empty."""

    async def tell() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            await asyncio.sleep(every)
            if what := waited_for():
                say(f"still waiting for {what}, {loop.time() - begun:.0f} s so far")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
