"""The wall clock, in one place."""

import time


def now_us() -> int:
    """µs since 1970 UTC."""
    return time.time_ns() // 1000
