"""The digest of trades: one line of text per trade, chained by SHA-256 (docs/certificates.md)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

EMPTY = bytes(32)
"""The digest of no trades."""


def line(
    raw_partition: int,
    raw_offset: int,
    trade_id: int,
    timestamp: int,
    price: str,
    quantity: str,
    side: str,
    trade_count: int,
) -> bytes:
    """The line of one trade. `timestamp` is in µs; `trade_id` is 0 where the exchange has no numeric ids."""
    text = f"{raw_partition},{raw_offset},{trade_id},{timestamp},{price},{quantity},{side},{trade_count}\n"
    return text.encode()


def chained(digest: bytes, lines: Iterable[bytes]) -> bytes:
    """The digest after further trades: SHA-256 of the digest before and the line, for one line at a time.

    Trades come in the order of their raw offsets. Unlike one hash over the whole text, this needs only the 32
    bytes of a minute to go on when a gap is filled hours later.
    """
    for each in lines:
        digest = sha256(digest + each).digest()
    return digest


def of_minutes(minutes: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The digest of a longer window: SHA-256 over a line per minute that has trades, ascending.

    Each is its open time (ms), number of records, and digest.
    """
    found = sha256()
    for open_time, records, digest in minutes:
        found.update(b"%d,%d,%s\n" % (open_time, records, digest.hex().encode()))
    return found.digest()


def plain(mantissa: int, scale: int) -> str:
    """A positive decimal mantissa / 10**scale in plain digits, without zeros that carry no value."""
    digits = str(mantissa).rjust(scale + 1, "0")
    at = len(digits) - scale
    fraction = digits[at:].rstrip("0")
    return f"{digits[:at]}.{fraction}" if fraction else digits[:at]
