"""Settings of the candles."""

from __future__ import annotations

from msgspec import field

from k2stream.settings.kinds import Positive, Seconds, Section, micros


class CandleSettings(Section, frozen=True, kw_only=True):
    """When windows close, how often revisions are published, how many windows are kept; durations in s."""

    grace_seconds: Seconds = 5.0  # a trade up to this much older than its symbol's newest one is on time
    idle_seconds: Seconds = 5.0  # after this long without a trade, the clock closes a symbol's windows
    emit_seconds: Seconds = field(default=0.2, name="candle_emit_seconds")
    """Revisions of a 1m candle are published at most this often; of longer ones, with each commit."""

    retention: Positive = field(default=500, name="candle_retention")
    """Closed windows that the tables keep, per symbol and timeframe."""

    @property
    def grace_us(self) -> int:
        """`grace_seconds` in µs, the unit of trade times."""
        return micros(self.grace_seconds)

    @property
    def grace_ms(self) -> int:
        """`grace_seconds` in ms, rounded up, for comparisons with candle times."""
        return -(-self.grace_us // 1000)

    @property
    def idle_us(self) -> int:
        """`idle_seconds` in µs."""
        return micros(self.idle_seconds)

    @property
    def settled_ms(self) -> int:
        """How long (ms) after its end a window may still be open: the grace plus the idle time."""
        return self.grace_ms + -(-self.idle_us // 1000)
