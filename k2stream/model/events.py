"""Feed events: what happened to a feed, as JSON records of the feed-events topic."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    """Kinds of feed events."""

    CONNECTED = "connected"  # all symbols are subscribed
    DISCONNECTED = "disconnected"
    SUBSCRIBED = "subscribed"  # one symbol is subscribed, separately from the others
    REFUSED = "refused"  # the exchange refused to subscribe a symbol; it is requested again
    WITHDRAWN = "withdrawn"  # the exchange ended a symbol's subscription; it is requested again
    SILENCE = "silence"
    EXCHANGE_ERROR = "exchange_error"
    LOST_FRAMES = "lost_frames"  # the exchange's frame counter jumped
    GAP = "gap"  # trade ids [first_missing, last_missing] did not arrive
    JUMP = "jump"  # as GAP, where ids may skip: perhaps nothing is missing
    BACKFILLED = "backfilled"  # the answer to an event of a loss: `count` trades were fetched over REST
    RESTART = "restart"  # trade ids started again: from now on they are of epoch `epoch`
    CLAIMED = "claimed"  # `connection` waits for its turn to publish fetched trades
    RELEASED = "released"  # `connection` has ended its turn
    EXPIRED = "expired"  # raw records since `since` expired before they were normalized
    DUPLICATE = "duplicate"  # an id that was seen before; the trade is dropped


MAX_DETAIL = 2000
"""The most characters of an event's detail: it bounds the record's size."""


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event; `time` is µs since 1970; `symbol` is native, or empty for the whole connection.

    `numbering` names the exchange's numbering of the ids, as in TradeColumns, and `epoch` how often it has
    started again. `since` is in µs, 0 if unknown: for connections and subscriptions, when the feed (or
    symbol) was last known to be up; for LOST_FRAMES, when the previous frame arrived; for GAP and JUMP, the
    newest trade time before it; for BACKFILLED, the `since` of the event it answers.
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
    """The record's JSON; the detail, which may quote others, is cut to MAX_DETAIL."""
    if len(event.detail) > MAX_DETAIL:
        event = msgspec.structs.replace(event, detail=event.detail[:MAX_DETAIL])
    return msgspec.json.encode(event)
