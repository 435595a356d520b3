"""Feed events: what happened to a feed, as records of the feed-events topic (JSON)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    """Kinds of feed events."""

    CONNECTED = "connected"  # all symbols are subscribed
    DISCONNECTED = "disconnected"
    SUBSCRIBED = "subscribed"  # one symbol is, where that was not so of all at once
    REFUSED = "refused"  # the exchange refuses to subscribe a symbol; it is asked again
    WITHDRAWN = "withdrawn"  # the exchange took a symbol away; it is asked for again
    SILENCE = "silence"
    EXCHANGE_ERROR = "exchange_error"
    LOST_FRAMES = "lost_frames"  # the exchange's frame counter jumped
    GAP = "gap"  # trade ids [first_missing, last_missing] did not come
    JUMP = "jump"  # the same where ids rise but may skip: perhaps nothing is missing
    BACKFILLED = "backfilled"  # an answer to those that tell of a loss: `count` trades were fetched over REST
    RESTART = "restart"  # trade ids started again: from here on they are of epoch `epoch`
    CLAIMED = "claimed"  # `connection` waits for its turn to publish what it has fetched
    RELEASED = "released"  # and has had it
    EXPIRED = "expired"  # raw records since `since` expired before they were normalised
    DUPLICATE = "duplicate"  # an id that was seen before, dropped


MAX_DETAIL = 2000
"""Characters of an event's detail: a record has a size."""


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event; `time` µs since 1970, `symbol` native, empty when it concerns the whole connection.

    `numbering` names which of the exchange's numberings the ids are of, as in TradeColumns, and `epoch` how
    often that has started again. `since`, µs or 0 for unknown, is of connections and subscriptions when this
    feed (or symbol) was last known to be up, of LOST_FRAMES when the frame before came, of GAP and JUMP the
    newest trade time before it, of BACKFILLED that of the event it answers.
    """

    kind: EventKind
    exchange: str
    time: int
    symbol: str = ""
    detail: str = ""
    connection: str = ""
    first_missing: int | None = None
    last_missing: int | None = None
    numbering: str = ""
    epoch: int = 0
    count: int = 0
    since: int = 0
    simulated: bool = False


def encode(event: FeedEvent) -> bytes:
    """The record's JSON; what others say in it is cut."""
    if len(event.detail) > MAX_DETAIL:
        event = msgspec.structs.replace(event, detail=event.detail[:MAX_DETAIL])
    return msgspec.json.encode(event)
