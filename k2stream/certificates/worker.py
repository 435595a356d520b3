"""The certificates of a worker: takes trades and final candles, and publishes certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

from k2stream import exchanges, faults, metrics, topics
from k2stream.avro import trades as canonical
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.candles.finals import FinalCandle
from k2stream.certificates.partition import CertifiedPartition
from k2stream.exchanges.spec import Continuity
from k2stream.model.certificate import FeedSpan, encode
from k2stream.model.trade import CandleInput

AGAIN_SECONDS = 0.2


class TradeReading(Protocol):
    """The worker's reading of the normalized topic."""

    async def end(self, partition: int) -> int:
        """The offset after the last record that the broker has now."""

    def position(self, partition: int) -> int | None:
        """The offset up to which the partition is taken; None when that is unknown."""


class Feeds(Protocol):
    """What is known of the feeds."""

    ready: bool
    """Whether the feed events that were there at the start are read."""

    def lost(self, exchange: str, symbol: str, start: int, end: int) -> tuple[FeedSpan, ...] | None:
        """The parts of [start, end] (µs) in which a feed was down or lost trades; None if unknown."""


class Certifier:
    """Certifies the final candles of the partitions that the worker owns.

    `restore` creates a partition from its tables; `send` publishes records of the certificates topic.
    """

    def __init__(
        self,
        restore: Callable[[int], CertifiedPartition],
        source: TradeReading,
        feeds: Feeds,
        send: Callable[[int, Sequence[bytes], Sequence[bytes]], Awaitable[None]],
    ) -> None:
        self.partitions: dict[int, CertifiedPartition] = {}
        self._restore, self._source, self._feeds, self._send = restore, source, feeds, send
        self._advanced = asyncio.Event()

    def recover(self, owned: Collection[int]) -> None:
        """Start from the tables of the owned partitions."""
        self.partitions.clear()
        self.partitions.update((number, self._restore(number)) for number in owned)
        self._advanced.set()

    def expire(self) -> None:
        """Drop what is too old, before a flush of the tables."""
        for partition in self.partitions.values():
            partition.expire()

    def take_trades(self, batch: RecordBatch) -> None:
        """Take a batch of the normalized topic; what is no trade, down to its strings, is left out."""
        good, (trades, conditions), _ = faults.read(batch, _decode)
        if len(good):
            counted = {key: _counted(key.partition(":")[0]) for key in trades.keys}
            self.partitions[batch.tp.partition].apply(trades, conditions, counted)
        self._advanced.set()

    async def take(self, partition: int, finals: Sequence[FinalCandle]) -> None:
        """Certify final candles, once their trades are here."""
        if not finals or not await self._arrived(partition, finals):
            return
        held = self.partitions[partition]
        made = [
            certificate
            for candle, published in finals
            if (
                certificate := held.certify(
                    candle,
                    published,
                    self._feeds.lost,
                    topics.raw(candle.exchange),
                    counted=_counted(candle.exchange),
                )
            )
        ]
        for item in made:
            metrics.CERTIFICATES.labels(item.timeframe, "certified" if item.sha256 else "incomplete").inc()
        if made:
            await self._send(partition, [item.key.encode() for item in made], list(map(encode, made)))

    async def _arrived(self, partition: int, finals: Sequence[FinalCandle]) -> bool:
        """Wait until the trades of the candles are taken; False when the partition is no longer owned.

        Trades that are not there once all is read that the topic had will never come.
        """
        wanted: dict[str, int] = {}
        for candle, _ in finals:
            key = f"{candle.exchange}:{candle.canonical_symbol}"
            wanted[key] = max(wanted.get(key, -1), candle.raw_offset)
        end: int | None = None
        while (held := self.partitions.get(partition)) is not None:
            known = self._feeds.ready
            if known and all(held.reached(key) >= offset for key, offset in wanted.items()):
                return True
            if end is None:
                end = await self._source.end(partition)
            position = self._source.position(partition)
            if known and position is not None and position >= end:
                return True
            self._advanced.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._advanced.wait(), AGAIN_SECONDS)
        return False


def _decode(batch: RecordBatch) -> tuple[CandleInput, list[list[str]]]:
    if not len(batch):
        return records.decode(batch), []
    return records.decode(batch), canonical.decode(batch.values).trade_conditions.tolist()


def _counted(exchange: str) -> bool:
    """Whether no id of an exchange may be left out."""
    known = exchanges.REGISTRY.get(exchange)
    return known is not None and known.continuity is Continuity.CONTIGUOUS
