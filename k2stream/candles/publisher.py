"""What is published of changed windows: finals and late trades at once, revisions coalesced per candle."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from k2stream import metrics, topics
from k2stream.avro.candles import encode
from k2stream.candle import Candle
from k2stream.candles.state import State, to_candle
from k2stream.candles.windows import Window


class Send(Protocol):
    """Hands records of one partition to the producer, in order; timestamps in ms."""

    async def __call__(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        timestamps: Sequence[int],
    ) -> None: ...


class Publisher:
    """Holds the newest state of each changed window until it is sent. `interval` and times in seconds.

    `hold` and `hold_late` belong in the same instant as the change of the tables; `drain` before the
    tables' changelogs are flushed. `native` gives the exchange's spelling of a key.
    """

    def __init__(
        self,
        send: Send,
        schema_ids: Mapping[str, int],
        native: Callable[[str], str],
        interval: float,
        clock: Callable[[], float],
    ) -> None:
        self._send = send
        self._schema_ids = schema_ids
        self._native = native
        self._interval = interval
        self._clock = clock
        self._last = float("-inf")
        self._held: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        self._late: list[tuple[bytes, bytes, int]] = []
        self._sending = asyncio.Lock()

    def hold(self, partition: int, updated: Mapping[Window, State]) -> None:
        """Take the changed windows of a partition."""
        if updated:
            self._held[partition].update(updated)

    def hold_late(self, key: bytes, value: bytes, timestamp: int) -> None:
        """Take one late trade's record as it was read."""
        self._late.append((key, value, timestamp))

    def forget(self, keep: frozenset[int]) -> None:
        """Drop what is held of other partitions: their new owner publishes it."""
        for partition in self._held.keys() - keep:
            del self._held[partition]

    async def publish(self) -> None:
        """Send what is due: finals and late trades, and revisions if the last ones are `interval` old."""
        await self._publish(self._clock() - self._last >= self._interval)

    async def drain(self) -> None:
        """Send everything; when this returns nothing is held."""
        while self._held or self._late or self._sending.locked():
            await self._publish(True)

    async def _publish(self, everything: bool) -> None:
        async with self._sending:
            late, self._late = self._late, []
            taken = self._take(everything)
            if late:
                await self._send(topics.LATE, 0, *zip(*late, strict=True))
            for (timeframe, partition), states in taken.items():
                await self._send_candles(timeframe, partition, states)

    def _take(self, everything: bool) -> dict[tuple[str, int], list[tuple[Window, State]]]:
        taken: defaultdict[tuple[str, int], list[tuple[Window, State]]] = defaultdict(list)
        rest: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        for partition, held in self._held.items():
            for window, state in held.items():
                if everything or state.final:
                    taken[window[0], partition].append((window, state))
                else:
                    rest[partition][window] = state
        self._held = rest
        if everything and taken:
            self._last = self._clock()
        return taken

    async def _send_candles(
        self, timeframe: str, partition: int, states: Sequence[tuple[Window, State]]
    ) -> None:
        candles = [self._candle(window, state) for window, state in states]
        await self._send(
            topics.ohlcv(timeframe),
            partition,
            [window[1].encode() for window, _ in states],
            encode(candles, self._schema_ids[timeframe]),
            [state.receive_time // 1000 for _, state in states],
        )
        metrics.CANDLE_UPDATES.labels(timeframe).inc(len(candles))
        metrics.CANDLES_FINAL.labels(timeframe).inc(sum(candle.final for candle in candles))

    def _candle(self, window: Window, state: State) -> Candle:
        timeframe, key, open_time = window
        return to_candle(state, key, self._native(key), timeframe, open_time)
