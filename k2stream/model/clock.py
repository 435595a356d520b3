"""The wall clock, and conversions between times and text."""

import time
from datetime import UTC, datetime, timedelta

TIME_LIMIT = 10**16
"""Times are in [0, TIME_LIMIT), in µs: up to the year 2286."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def now_us() -> int:
    """The current time in µs since 1970 UTC."""
    return time.time_ns() // 1000


def moment(text: str) -> int:
    """Parse ms since 1970, or ISO 8601 (UTC without an offset), to ms since 1970. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    parsed = datetime.fromisoformat(text)
    return ((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def iso(ms: int) -> str:
    """A time in ms since 1970 as ISO 8601 with its offset, as Iceberg filters need it."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="microseconds")


def spoken(ms: int) -> str:
    """A time in ms since 1970 as text for people, in UTC."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
