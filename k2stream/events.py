"""Feed events: what happened to a feed, as records of the feed-events topic (JSON)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class EventKind(StrEnum):
    """Kinds of feed events."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SILENCE = "silence"
    EXCHANGE_ERROR = "exchange_error"
    LOST_FRAMES = "lost_frames"  # the exchange's frame counter jumped
    GAP = "gap"  # trade ids [first_missing, last_missing] did not come
    DUPLICATE = "duplicate"  # an id that was seen before, dropped


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event; `time` µs since 1970, `symbol` native, empty when it concerns the whole connection."""

    kind: EventKind
    exchange: str
    time: int
    symbol: str = ""
    detail: str = ""
    connection: str = ""
    first_missing: int | None = None
    last_missing: int | None = None
    count: int = 0
    simulated: bool = False


def encode(event: FeedEvent) -> bytes:
    """The record's JSON."""
    return msgspec.json.encode(event)
