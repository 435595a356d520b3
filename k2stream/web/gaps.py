"""When the feeds lost trades, or may have: read from the feed events by every worker, in no group."""

from __future__ import annotations

import logging
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from k2stream import topics
from k2stream.events import EventKind, FeedEvent
from k2stream.kafka import client_options
from k2stream.settings import Settings

logger = logging.getLogger(__name__)

Gap = Callable[[int, int], bool]
"""Whether trades may have been lost between two times, in µs."""

# A worker that was killed has no last word: its next CONNECTED tells.
_LOSSES = {
    EventKind.GAP,
    EventKind.LOST_FRAMES,
    EventKind.SILENCE,
    EventKind.DISCONNECTED,
    EventKind.CONNECTED,
}


class FeedGaps:
    """Times of losses, by exchange and native symbol; a loss of a connection counts for all its symbols."""

    def __init__(self) -> None:
        self.ready = False
        self._known_since = 0
        self._times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    def add(self, event: FeedEvent) -> None:
        """Take one feed event."""
        if event.kind in _LOSSES:
            insort(self._times[event.exchange, event.symbol], event.time)

    def of(self, exchange: str, symbol: str) -> Gap:
        """The gaps of one symbol."""
        lists = [self._times.get((exchange, name), []) for name in ("", symbol)]

        def lost(start: int, end: int) -> bool:
            return start < self._known_since or any(
                bisect_left(times, start) < bisect_left(times, end) for times in lists
            )

        return lost

    async def follow(self, settings: Settings) -> None:
        """Read the topic from its beginning, for ever; `ready` once what was there at the start is read."""
        partition = TopicPartition(topics.FEED_EVENTS, 0)
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **client_options(settings)
        )
        await consumer.start()
        try:
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            beginning = (await consumer.beginning_offsets([partition]))[partition]
            while True:
                self.ready = self.ready or await consumer.position(partition) >= end
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        self._take(record.value, record.offset, expired=beginning > 0)
        finally:
            await consumer.stop()

    def _take(self, value: bytes, offset: int, *, expired: bool) -> None:
        """`expired`: earlier events are no longer on the topic, nothing is known of the time before."""
        try:
            event = msgspec.json.decode(value, type=FeedEvent)
            self._known_since = self._known_since or (event.time if expired else 0)
            self.add(event)
        except msgspec.DecodeError as error:
            logger.warning("%s offset %d is not a feed event: %s", topics.FEED_EVENTS, offset, error)
