"""The state of all workers, read when it is asked for: at most once a second, however many ask."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from k2stream.platform.running import find
from k2stream.platform.snapshot import PERIOD_SECONDS, Snapshot, SnapshotTaker
from k2stream.settings import Settings
from k2stream.web.query import RequestError


class WorkerStates:
    """The workers that K2_SERVICE_WORKERS names, else those of the platform on the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._taker: SnapshotTaker | None = None
        self._urls: dict[str, str] = {}
        self._taken: tuple[float, Snapshot] | None = None

    async def read(self) -> Snapshot | None:
        """The newest snapshot, at most a second old; None if no workers are known.

        The first one takes a second, for rates. Raises RequestError 503 if the broker does not answer.
        """
        async with self._lock:
            now = time.monotonic()
            if self._taken is not None and now < self._taken[0] + PERIOD_SECONDS:
                return self._taken[1]
            urls, refused = self._known()
            if not urls:
                return None
            try:
                taker = await self._taker_of(urls)
                snapshot = await taker.take(refused=refused)
            except Exception as error:  # any error of Kafka's client
                await self._forget()
                raise RequestError(503, f"the broker does not answer: {type(error).__name__}") from None
            self._taken = time.monotonic(), snapshot
            return snapshot

    def _known(self) -> tuple[dict[str, str], dict[str, str]]:
        if urls := self._settings.service.worker_urls:
            return urls, {}
        running = find(self._settings)
        return (running.urls, running.refused) if running else ({}, {})

    async def _taker_of(self, urls: dict[str, str]) -> SnapshotTaker:
        if self._taker is not None and urls == self._urls:
            return self._taker
        await self._forget()
        taker = SnapshotTaker(self._settings, urls)
        await taker.__aenter__()
        self._taker, self._urls = taker, urls
        await asyncio.sleep(PERIOD_SECONDS)
        return taker

    async def _forget(self) -> None:
        taker, self._taker = self._taker, None
        if taker is not None:
            with suppress(Exception):
                await taker.__aexit__(None, None, None)
