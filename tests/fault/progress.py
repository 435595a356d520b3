"""How long each group stood still on a partition with records waiting, and each feed, by what happened."""

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from aiokafka.errors import KafkaError

from k2stream import topics
from k2stream.kafka.groups import SOURCES
from k2stream.kafka.lag import LagReader
from k2stream.model.errors import ConfigError

PERIOD_SECONDS = 1.0

LIVE = ("feeds", "k2-normalize", "k2-candles")
"""On the way to a candle: on a busy machine, sinks have what these leave."""


class Progress:
    """The `longest` standstill (s) and its partition, `worst`; of LIVE groups, and by event and group."""

    def __init__(self):
        self.longest, self.samples, self.worst = 0.0, 0, ""
        self.live, self.live_worst = 0.0, ""
        self.unanswered = 0
        self.events = {}
        self.event = ""
        self._since = {}
        self._before = {}

    def name(self, event):
        """What happens from now on; its standstills are kept apart, by group."""
        print(f"{datetime.now():%H:%M:%S} {event}; so far {self.told()}, at most {self.worst}", flush=True)
        self.event = event
        self.events[event] = defaultdict(float)

    def told(self):
        """The longest standstills (s) by event and group."""
        return {
            f"s, {event}: {group}": round(longest, 1)
            for event, groups in self.events.items()
            for group, longest in groups.items()
        }

    async def watch(self, settings):
        """Sample each second, also while brokers come and go: a group that none answers for stands still."""
        while True:
            with suppress(KafkaError, ConfigError, TimeoutError, OSError):
                async with LagReader(settings) as lags:
                    while True:
                        await self._sample(lags)
                        await asyncio.sleep(PERIOD_SECONDS)
            self.unanswered += 1
            await asyncio.sleep(PERIOD_SECONDS)

    async def _sample(self, lags):
        for group in SOURCES:
            ends, committed = await lags._ends(group), await lags._committed(group)
            self._observe(group, ends, committed, time.monotonic())
            for exchange in topics.EXCHANGES if group == "k2-normalize" else ():
                end = sum(end for tp, end in ends.items() if tp.topic == topics.raw(exchange))
                self._stand("feeds", exchange, end, f"{exchange}'s feed", time.monotonic())
        self.samples += 1

    def _observe(self, group, ends, committed, now):
        for tp, end in ends.items():
            offset = committed.get(tp, 0)
            waiting = f"{group} {tp.topic}:{tp.partition} of {end - offset} records"
            self._stand(group, tp, offset, waiting, now, behind=offset < end)

    def _stand(self, group, what, at, text, now, *, behind=True):
        if self._before.get((group, what)) != at or not behind:
            self._since[group, what] = now
        self._before[group, what] = at
        still = now - self._since[group, what]
        if self.event:
            found = self.events[self.event]
            found[group] = max(found[group], still)
        if still > self.longest:
            self.longest, self.worst = still, text
        if still > self.live and group in LIVE:
            self.live, self.live_worst = still, text


@asynccontextmanager
async def watched(settings):
    """Progress while the block runs."""
    progress = Progress()
    watching = asyncio.create_task(progress.watch(settings))
    try:
        yield progress
        assert not watching.done(), watching.exception()
    finally:
        watching.cancel()
