"""What is published of changed windows: finals and records at once, revisions coalesced per candle."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from k2stream import metrics, topics
from k2stream.avro.candles import encode
from k2stream.candle import TIMEFRAMES
from k2stream.candles.state import State, to_row
from k2stream.candles.windows import Window

logger = logging.getLogger(__name__)

MINUTE_MS = TIMEFRAMES["1m"]
LONGEST_SECONDS = 0.2


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

    Revisions of 1m candles are sent every `interval`, longer ones as many times more seldom as they are long,
    yet five times a second: nobody watches a day's candle more often, and each layer below pays for it.

    `hold` and `hold_record` belong in the same instant as the change of the tables; `drain` before the
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
        self._intervals = {
            name: min(interval * length / MINUTE_MS, max(interval, LONGEST_SECONDS))
            for name, length in TIMEFRAMES.items()
        }
        self._clock = clock
        self._last = dict.fromkeys(TIMEFRAMES, float("-inf"))
        self._held: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        self._records: defaultdict[str, list[tuple[bytes, bytes, int]]] = defaultdict(list)
        self._sending = asyncio.Lock()

    def hold(self, partition: int, updated: Mapping[Window, State]) -> None:
        """Take the changed windows of a partition."""
        if updated:
            self._held[partition].update(updated)

    def hold_record(self, topic: str, key: bytes, value: bytes, timestamp: int) -> None:
        """Take a record for partition 0 of a topic: a late trade, a dead letter."""
        self._records[topic].append((key, value, timestamp))

    def forget(self, keep: frozenset[int]) -> None:
        """Drop what is held of other partitions: their new owner publishes it."""
        for partition in self._held.keys() - keep:
            del self._held[partition]

    async def publish(self) -> None:
        """Send what is due: finals and records, and revisions of timeframes whose last are old enough."""
        now = self._clock()
        await self._publish(
            {name for name, last in self._last.items() if now - last >= self._intervals[name]}
        )

    async def drain(self) -> None:
        """Send everything; when this returns nothing is held."""
        while self._held or self._records or self._sending.locked():
            await self._publish(set(TIMEFRAMES))

    async def _publish(self, due: set[str]) -> None:
        async with self._sending:
            records, self._records = self._records, defaultdict(list)
            taken = self._take(due)
            for topic, rows in records.items():
                await self._send(topic, 0, *zip(*rows, strict=True))
            for (timeframe, partition), states in taken.items():
                await self._send_candles(timeframe, partition, states)

    def _take(self, due: set[str]) -> dict[tuple[str, int], list[tuple[Window, State]]]:
        taken: defaultdict[tuple[str, int], list[tuple[Window, State]]] = defaultdict(list)
        rest: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        for partition, held in self._held.items():
            for window, state in held.items():
                if window[0] in due or state.final:
                    taken[window[0], partition].append((window, state))
                else:
                    rest[partition][window] = state
        self._held = rest
        now = self._clock()
        self._last.update({timeframe: now for timeframe, _ in taken if timeframe in due})
        return taken

    async def _send_candles(
        self, timeframe: str, partition: int, states: Sequence[tuple[Window, State]]
    ) -> None:
        records = [
            (window[1].encode(), value, state.receive_time // 1000)
            for window, state in states
            if (value := self._encode(window, state)) is not None
        ]
        if records:
            await self._send(topics.ohlcv(timeframe), partition, *zip(*records, strict=True))
        metrics.CANDLE_UPDATES.labels(timeframe).inc(len(records))
        metrics.CANDLES_FINAL.labels(timeframe).inc(sum(state.final for _, state in states))

    def _encode(self, window: Window, state: State) -> bytes | None:
        """None for a candle that Avro's decimals cannot hold; the tables still do."""
        timeframe, key, open_time = window
        row = to_row(state, key, self._native(key), timeframe, open_time)
        try:
            return encode(row, self._schema_ids[timeframe])
        except ValueError as error:
            logger.error("candle %s %s %d is not published: %s", key, timeframe, open_time, error)
            metrics.REJECTED.labels(key.partition(":")[0], "candles").inc()
            return None
