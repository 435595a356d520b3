"""The service alone, over tables in memory that are full; its argument is the number of windows per table.

It prints its port and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterable
from typing import Any

import uvloop

from k2stream import instruments, topics
from k2stream.app import GC_THRESHOLDS
from k2stream.candles.codec import KeyProgress
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import State
from k2stream.history.reader import candle_history
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.instrument import Instrument
from k2stream.service.application import create
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web import lookup
from k2stream.web.candles import CandleReader
from k2stream.web.health import FeedHealth


class Windows:
    """The windows of one timeframe."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, int], State] = {}

    def get(self, key: str, open_time: int) -> State | None:
        """The state of a window."""
        return self._states.get((key, open_time))

    def put(self, key: str, open_time: int, state: State) -> None:
        """Set the state of a window."""
        self._states[key, open_time] = state

    def delete(self, key: str, open_time: int) -> None:
        """Delete a window."""
        del self._states[key, open_time]

    def windows(self) -> Iterable[tuple[str, int, State]]:
        """All windows."""
        return [(*window, state) for window, state in self._states.items()]


class Reached(dict[str, KeyProgress]):
    """The progress of the keys."""

    def put(self, key: str, progress: KeyProgress) -> None:
        """Set the progress of a key."""
        self[key] = progress


def partition(items: list[Instrument], count: int, now: int) -> CandlePartition:
    """Tables with `count` windows of each symbol, the last of them open; `now` in ms."""
    stores = {name: Windows() for name in TIMEFRAMES}
    for number, item in enumerate(items):
        for name, length in TIMEFRAMES.items():
            for back in range(count):
                opened = now // length * length - back * length
                price, amount = (10**6 + number * 977 + back) * 10**14, (1 + back) * 10**10
                at = min(opened + length - 1, now) * 1000
                prices = (
                    price,
                    price + 10**16,
                    price - 10**16,
                    price + 10**15,
                    (opened * 1000, 1, 1),
                    (at, 2, 2),
                )
                sums = amount, amount * price, amount // 2, amount // 2 * price, 77, 77, at, 0, 7
                stores[name].put(item.key, opened, State(*prices, *sums, back > 0))
    progress = Reached({item.key: KeyProgress(7, now * 1000) for item in items})
    return CandlePartition(stores, progress, grace=5_000_000, idle=5_000_000, retention=count, now=now * 1000)


async def main(count: int) -> None:
    """Serve until the input ends."""
    settings, now = make(simulated=True), time.time_ns() // 1_000_000
    listed = instruments.load(settings.feeds.instruments_file)
    number = topics.partition_of(listed[0].symbol, 1)
    health = FeedHealth()
    health.ready = True
    reader = CandleReader(health, candle_history(settings.candles), settings.candles.settled_ms, lambda: now)
    app: Any = None
    vars(lookup)["is_ready"] = lambda app: True  # there is no worker around it
    read = lookup.CandleLookup(
        app, app, {number: partition(list(listed), count, now)}, reader, settings.kafka
    )
    server = Server(create(Sources(settings, listed, read, health, lambda: True)), "127.0.0.1", 0)
    server.bind()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    serving = asyncio.create_task(server.run())
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()
    await asyncio.wait([serving])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
