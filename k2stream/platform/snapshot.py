"""The state of all workers at one time: their metrics, answers and lag."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from k2stream.kafka.lag import LagReader
from k2stream.platform.scrape import Samples, healths, scrape
from k2stream.settings import Settings

PERIOD_SECONDS = 1.0

LATENCY = "k2_latency_last_minute_seconds"

LEFT_OUT = ("k2_latency_seconds", "k2_receive_lag_seconds")
"""What grows without end is left out: a status reads the last minute only."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data shown: current and earlier metrics, lag by group and topic, memory by process in bytes."""

    now: Samples
    before: Samples
    seconds: float  # between the two samples
    lag: Mapping[str, Mapping[str, int]]
    memory: Mapping[str, int]
    simulated: bool
    refused: Mapping[str, str] = field(default_factory=dict)  # message by worker
    states: Mapping[str, str] = field(default_factory=dict)  # "ok" or "recovering" by worker that answers
    commit_seconds: float | None = None  # how long rows of the cold tier wait for a commit at most

    def rate(self, name: str, **labels: str) -> float:
        """Growth of a counter per second, between the two samples."""
        return max(self.now.get(name, **labels) - self.before.get(name, **labels), 0) / max(
            self.seconds, 1e-9
        )

    def latency(self, to: str, share: float) -> float | None:
        """A quantile of the latency of the last minute in seconds; None without a trade."""
        return self.now.quantile(LATENCY, share, to=to)


class SnapshotTaker:
    """Takes snapshots, each with the previous sample for rates; an async context manager."""

    def __init__(self, settings: Settings, urls: Mapping[str, str]) -> None:
        self._settings, self._urls = settings, urls
        self._lags = LagReader(settings)
        self._before, self._then = Samples(), 0.0

    async def __aenter__(self) -> Self:
        await self._lags.__aenter__()
        await self.begin()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._lags.__aexit__(None, None, None)

    async def begin(self) -> None:
        """Take the first sample."""
        worker = self._settings.worker
        self._before, self._then = await scrape(self._urls, worker, LEFT_OUT), time.monotonic()

    async def take(
        self, memory: Mapping[str, int] | None = None, refused: Mapping[str, str] | None = None
    ) -> Snapshot:
        """The state now. Raises what Kafka's client raises."""
        worker = self._settings.worker
        now, states = await asyncio.gather(scrape(self._urls, worker, LEFT_OUT), healths(self._urls, worker))
        clock = time.monotonic()
        lag, seconds = await self._lags.lag(skip_missing=True), clock - self._then
        found = Snapshot(
            now,
            self._before.beside(now),
            seconds,
            lag,
            memory or {},
            self._settings.feeds.simulated,
            refused or {},
            states,
            self._settings.sinks.cold_commit_seconds,
        )
        self._before, self._then = now, clock
        return found


async def watch_status(
    settings: Settings,
    urls: Mapping[str, str],
    memory: Callable[[], Mapping[str, int]] = dict,
    refused: Callable[[], Mapping[str, str]] = dict,
) -> AsyncIterator[Snapshot]:
    """Yield a snapshot each second."""
    async with SnapshotTaker(settings, urls) as taker:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            yield await taker.take(memory(), refused())
