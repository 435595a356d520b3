"""Publishes changed windows: final candles and records at once, revisions coalesced per candle."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from k2stream import metrics, topics
from k2stream.avro.candles import encode
from k2stream.candles.state import State, to_row
from k2stream.candles.windows import Window
from k2stream.model.candle import TIMEFRAMES

logger = logging.getLogger(__name__)

LIVE = ("1m",)
"""Timeframes whose revisions people watch as they come."""


class Send(Protocol):
    """Sends records of one partition to the producer, in order."""

    async def __call__(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes],
        values: Sequence[bytes],
    ) -> None: ...


class CandlePublisher:
    """Buffers the newest state of each changed window until it is sent. Times are in seconds.

    Every later layer processes each revision. Those of 1m candles are therefore sent only every `interval`,
    and those of longer candles by `drain`, which is with each commit.

    Call `hold` and `hold_record` with no await between them and the change of the tables, and `drain` before
    the tables' changelogs are flushed. `native` returns the native symbol of a key.
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
        self._pending: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        self._records: defaultdict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
        self._sending = asyncio.Lock()

    def hold(self, partition: int, updated: Mapping[Window, State]) -> None:
        """Buffer the changed windows of a partition."""
        if updated:
            self._pending[partition].update(updated)

    def hold_record(self, topic: str, key: bytes, value: bytes) -> None:
        """Buffer a record for partition 0 of a topic: a late trade or a dead letter."""
        self._records[topic].append((key, value))

    def forget(self, keep: frozenset[int]) -> None:
        """Discard what is buffered of other partitions: their new owners publish it."""
        for partition in self._pending.keys() - keep:
            del self._pending[partition]

    def due_in(self) -> float:
        """In how long to call `publish`, so that no 1m revision waits for longer than `interval`."""
        rest = self._last + self._interval - self._clock()
        return rest if rest > 0 else self._interval

    async def publish(self) -> None:
        """Send final candles and records, and 1m revisions if `interval` has passed since the last ones."""
        async with self._sending:
            await self._publish(LIVE if self._clock() >= self._last + self._interval else ())

    async def drain(self) -> None:
        """Send everything; nothing is buffered when this returns.

        Whoever publishes after each fold waits for this: otherwise more would always have come meanwhile.
        """
        async with self._sending:
            while self._pending or self._records:
                await self._publish(TIMEFRAMES)

    async def _publish(self, revised: Collection[str]) -> None:
        """`revised` are the timeframes whose revisions are sent, too."""
        records, self._records = self._records, defaultdict(list)
        taken = self._take(revised)
        for topic, rows in records.items():
            await self._send(topic, 0, *zip(*rows, strict=True))
        for (timeframe, partition), states in taken.items():
            await self._send_candles(timeframe, partition, states)

    def _take(self, revised: Collection[str]) -> dict[tuple[str, int], list[tuple[Window, State]]]:
        taken: defaultdict[tuple[str, int], list[tuple[Window, State]]] = defaultdict(list)
        rest: defaultdict[int, dict[Window, State]] = defaultdict(dict)
        for partition, pending in self._pending.items():
            for window, state in pending.items():
                if state.final or window[0] in revised:
                    taken[window[0], partition].append((window, state))
                else:
                    rest[partition][window] = state
        self._pending = rest
        if revised and taken:
            self._last = self._clock()
        return taken

    async def _send_candles(
        self, timeframe: str, partition: int, states: Sequence[tuple[Window, State]]
    ) -> None:
        records = [
            (window[1].encode(), value)
            for window, state in states
            if (value := self._encode(window, state)) is not None
        ]
        if records:
            await self._send(topics.ohlcv(timeframe), partition, *zip(*records, strict=True))
        metrics.CANDLE_UPDATES.labels(timeframe).inc(len(records))
        metrics.CANDLES_FINAL.labels(timeframe).inc(sum(state.final for _, state in states))

    def _encode(self, window: Window, state: State) -> bytes | None:
        """Encode a candle; None if it exceeds Avro's decimals, in which case only the tables contain it."""
        timeframe, key, open_time = window
        row = to_row(state, key, self._native(key), timeframe, open_time)
        try:
            return encode(row, self._schema_ids[timeframe])
        except ValueError as error:
            exchange, _, symbol = key.partition(":")
            concerned = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
            what = f"candle {key} {timeframe} {open_time}"
            logger.error("%s is not published: %s", what, error, extra=concerned)
            metrics.REJECTED.labels(topics.label_of(exchange), "candles").inc()
            return None
