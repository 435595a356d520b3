"""Waits until the layers of a running platform have what its topics have."""

from __future__ import annotations

import httpx

from k2stream.kafka.lag import LagReader
from k2stream.model.errors import Unavailable
from k2stream.model.roles import Role
from k2stream.platform.running import Running

WITHIN_SECONDS = 60.0


async def settle(running: Running) -> None:
    """Wait until the workers have processed what the topics have now, then make the cold worker commit.

    Raises Unavailable when the cold worker does not answer.
    """
    async with LagReader(running.settings) as lags:
        for group in (Role.NORMALIZE.group, Role.CANDLES.group, Role.HOT.group):
            await lags.passed(group, WITHIN_SECONDS)
    worker = running.settings.worker
    url = running.urls.get(Role.COLD, "")
    try:
        async with httpx.AsyncClient(timeout=WITHIN_SECONDS, **worker.web_connection) as client:
            (await client.post(f"{url}/cold/flush")).raise_for_status()
    except httpx.HTTPError as error:
        why = str(error).partition("\n")[0] or repr(error)
        raise Unavailable(
            f"the cold worker at {url or 'no address'} does not commit: {why}; `k2 status` says how it is"
        ) from None
