"""What the feed events say of the time of a candle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from k2stream import topics
from k2stream.model.certificate import Certificate, FeedSpan
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import EventKind, FeedEvent
from k2stream.reconcile.certificates.again import Trades
from k2stream.reconcile.certificates.check import KnownOfCandle
from k2stream.reconcile.oracle.copies import LOOKBACK_US
from k2stream.reconcile.oracle.raw_log import read_to_end, retained
from k2stream.settings import KafkaSettings
from k2stream.web.health import FeedHealth

NOTICE_MS = 3_000
"""A feed event that is older than a certificate by this much must be in it."""


class FeedPast(NamedTuple):
    """The feed events that are left, and since when (µs) none of them has expired."""

    events: Sequence[FeedEvent]
    since: int = 0


async def events(settings: KafkaSettings) -> FeedPast:
    """What the topic of feed events has."""
    bounds = await retained(settings, topics.FEED_EVENTS)
    found = []
    async for _, records in read_to_end(settings, topics.FEED_EVENTS, bounds):
        for record in records:
            try:
                found.append(msgspec.json.decode(record.value or b"", type=FeedEvent))
            except UNREADABLE:
                continue  # what is no feed event says nothing of a feed
    if not any(part.begin for part in bounds.values()):
        return FeedPast(found)
    return FeedPast(found, found[0].time if found else 1 << 62)


def known(of: Certificate, earlier: Trades, told: FeedPast) -> KnownOfCandle:
    """What is known of a candle apart from its trades; `earlier` are those right before it."""
    if of.open_time * 1000 - LOOKBACK_US < told.since:
        return KnownOfCandle(earlier, counted=False)
    mine = (of.exchange, of.symbol)
    restarted = any(
        event.kind is EventKind.RESTART and (event.exchange, event.symbol) == mine for event in told.events
    )
    issued = of.revisions[-1].time if of.revisions else 0
    certain = _lost(of, [event for event in told.events if event.time // 1000 <= issued - NOTICE_MS])
    return KnownOfCandle(earlier, not restarted, certain, _lost(of, told.events))


def _lost(of: Certificate, told: Sequence[FeedEvent]) -> Sequence[FeedSpan] | None:
    health = FeedHealth()
    for event in told:
        health.add(event)
    health.ready = True
    return health.lost(of.exchange, of.symbol, of.open_time * 1000, of.close_time * 1000 + 999)
