"""Resume tokens: which place of which partition a subscription has reached, as opaque text."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import crc32
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from k2stream.model import clock
from k2stream.model.errors import UNREADABLE, BadData
from k2stream.service.stream.entries import Place

LATEST = clock.TIME_LIMIT // 1000
"""Times are before it, in ms."""

COMPLETE = 2**53
"""The window after all windows of a key."""

_PLACES = re.compile(r"\d{1,9}-\d{1,18}-\d{1,15}(_\d{1,9}-\d{1,18}-\d{1,15})*")


class BadToken(BadData, ValueError):
    """Text that is no resume token, or one of another subscription."""


class Delivered(NamedTuple):
    """A window that was delivered in a revision which the offsets do not cover."""

    key: str
    window: int
    revision: int


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """What a token says besides the places.

    `start` (ms) is where the subscription's history began. In the history, `key` and `window` are the last
    that were delivered; `key` is empty when history is complete. `log` tells the topic's log from one that
    was there before (same_log.py), and is empty where that is unknown.
    """

    check: int
    start: int
    key: str = ""
    window: int = 0
    ahead: tuple[Delivered, ...] = ()
    log: str = ""


class Token(NamedTuple):
    """A parsed token."""

    places: Mapping[int, Place]
    progress: Progress


def checksum(*identity: str) -> int:
    """A number that tells the tokens of different subscriptions apart."""
    return crc32("|".join(identity).encode())


def places(found: Mapping[int, Place] | Iterable[tuple[int, Place]]) -> bytes:
    """The first part of a token, which clients share; a place before the first offset counts as that."""
    items = found.items() if isinstance(found, Mapping) else found
    return "_".join(f"{number}-{at.offset + 1}-{at.clock}" for number, at in items).encode()


def rest(progress: Progress) -> bytes:
    """The other part of a token."""
    return b"." + urlsafe_b64encode(msgspec.json.encode(progress)).rstrip(b"=")


def alike(text: str) -> bool:
    """Whether a text looks like a token, not like a time."""
    return _PLACES.fullmatch(text.partition(".")[0]) is not None and "." in text


def parse(text: str, check: int) -> Token:
    """Parse a token of the subscription with this checksum. Raises BadToken."""
    first, _, second = text.partition(".")
    try:
        if not _PLACES.fullmatch(first):
            raise ValueError
        raw = urlsafe_b64decode(second.encode("ascii") + b"=" * (-len(second) % 4))
        progress = msgspec.json.decode(raw, type=Progress)
        numbers = [tuple(map(int, place.split("-"))) for place in first.split("_")]
        known = progress.window == COMPLETE or -1 <= progress.window < LATEST
        if not (known and 0 <= progress.start < LATEST and all(at < LATEST for *_, at in numbers)):
            raise ValueError  # no time of ours
    except UNREADABLE:
        raise BadToken("since is a damaged resume token: send a token as it was received") from None
    if progress.check != check:
        raise BadToken("since is the resume token of another channel, symbol, timeframe or time zone")
    return Token({number: Place(after - 1, clock) for number, after, clock in numbers}, progress)
