"""Fetches trades that a feed missed over REST and publishes them as raw records marked as backfilled.

The gap filler runs next to the feed in the ingest worker of an exchange. It follows the feed events, and
answers each event that reports a possible loss with the trades that the exchange still has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from k2stream.backfill.client import client_of
from k2stream.backfill.down import last_up
from k2stream.backfill.filler import Filler
from k2stream.backfill.output import Output
from k2stream.backfill.task import Task
from k2stream.backfill.turn import Turns
from k2stream.exchanges.spec import Exchange
from k2stream.feed import Feed
from k2stream.feed.publisher import Publisher
from k2stream.model.instrument import Instrument
from k2stream.settings import Settings


def filler(
    exchange: Exchange,
    instruments: Sequence[Instrument],
    publisher: Publisher,
    settings: Settings,
    feed: Feed,
) -> Filler | None:
    """Create the gap filler of a feed; None, with a log entry, when its gaps are not to be filled."""
    name = exchange.name
    if exchange.history is None or not settings.feeds.fills_gaps(name):
        why = "the feed is from elsewhere" if settings.feeds.gap_fill else "K2_GAP_FILL=false"
        logging.getLogger(__name__).info(
            "%s: gaps are not filled: %s (K2_%s_REST_URL)", name, why, name.upper()
        )
        return None
    client = client_of(settings.feeds, exchange)
    symbols = [item.symbol for item in instruments]
    output = Output(name, publisher, settings.kafka)
    turns = Turns(name, output, settings)
    task = Task(
        exchange,
        symbols,
        client,
        output,
        settings,
        feed.settled,
        turns=turns,
        heard=feed.heard,
        numberings={item.symbol: exchange.history.numbering(item) for item in instruments},
    )
    return Filler(task)


__all__ = ["Filler", "filler", "last_up"]
