"""Detects a worker whose partitions have work but make no progress, and ends it to be restarted."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.errors import KafkaError

from k2stream.batch._records import TP
from k2stream.model.errors import Unavailable

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp

LONGEST_PERIOD = 5.0
STOP_SECONDS = 10.0
"""How long a stalled worker may take to stop by itself."""

_STDERR = 2

logger = logging.getLogger(__name__)


class Stalled(Unavailable):
    """A partition has work but has made no progress."""


class Work(NamedTuple):
    """The number of a partition's remaining records, and a mark that changes with any progress."""

    left: int
    mark: object


class StallClock:
    """Measures for how long partitions with work have made no progress.

    An observation adds at most `longest` seconds, so that the time during which the process itself was
    suspended does not count.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._then: float | None = None
        self._known: dict[TP, tuple[object, float]] = {}

    def observe(self, now: float, work: Mapping[TP, Work]) -> dict[TP, float]:
        """Return the seconds without progress of each partition with work; `now` is in monotonic seconds."""
        passed = 0.0 if self._then is None else min(now - self._then, self._longest)
        self._then = now
        stalls: dict[TP, float] = {}
        for tp, (left, mark) in work.items():
            if left > 0:
                before, still = self._known.get(tp, (None, 0.0))
                stalls[tp] = still + passed if before == mark else 0.0
        self._known = {tp: (work[tp].mark, still) for tp, still in stalls.items()}
        return stalls


Measure = Callable[[Mapping[TP, float], Mapping[TP, int]], None]
"""Takes the seconds without progress of partitions with work, and the remaining records of all partitions."""


async def watch_stalls(app: BatchApp, limit: float, measure: Measure) -> None:
    """Crash the worker, with nothing acknowledged, after `limit` seconds without progress of a partition.

    Time counts only while the broker reports the remaining work. If the event loop is blocked for longer than
    `limit`, the process ends at once with a traceback.
    """
    period = min(limit / 4, LONGEST_PERIOD)
    clock = StallClock(2 * period)
    stalled: dict[TP, int] = {}
    try:
        while not stalled:
            faulthandler.dump_traceback_later(limit + period, exit=True, file=_STDERR)
            await asyncio.sleep(period)
            if (work := await _work(app, period)) is not None:
                stalls = clock.observe(time.monotonic(), work)
                measure(stalls, {tp: left for tp, (left, _) in work.items()})
                stalled = {tp: work[tp].left for tp, seconds in stalls.items() if seconds >= limit}
    finally:
        faulthandler.cancel_dump_traceback_later()
    await _give_up(app, stalled, limit)


async def _work(app: BatchApp, within: float) -> Mapping[TP, Work] | None:
    """Return the worker's remaining work; None if it is unknown."""
    try:
        async with asyncio.timeout(within):
            return await app.consumer.work() if app.started else {}
    except (KafkaError, TimeoutError) as error:
        logger.warning("the broker does not report the lag: %s", error or type(error).__name__)
        return None


async def _give_up(app: BatchApp, left: Mapping[TP, int], limit: float) -> None:
    what = ", ".join(f"{tp.topic}[{tp.partition}] ({count} records)" for tp, count in sorted(left.items()))
    error = Stalled(f"no progress for {limit:g} s on {what}: the worker ends, to be restarted")
    logger.critical("%s", error)
    # A hanging agent may keep the worker from stopping.
    faulthandler.dump_traceback_later(STOP_SECONDS, exit=True, file=_STDERR)
    await app.consumer.give_up(error)
