"""Settings of candles."""

from __future__ import annotations

from msgspec import field

from k2stream.settings.kinds import Positive, Seconds, Section, micros


class CandleSettings(Section, frozen=True, kw_only=True):
    """When windows close, how often they are published, how many are kept; durations in seconds."""

    grace_seconds: Seconds = 5.0  # a trade so much older than its symbol's newest may still revise a candle
    idle_seconds: Seconds = 5.0  # a silent symbol's windows are closed by the clock after so long
    emit_seconds: Seconds = field(default=0.2, name="candle_emit_seconds")
    """Revisions are published at most this often per candle."""

    retention: Positive = field(default=500, name="candle_retention")
    """Closed windows kept for look-ups, per symbol and timeframe."""

    @property
    def grace_us(self) -> int:
        """`grace_seconds` in µs: what trades, windows and checks are held to."""
        return micros(self.grace_seconds)

    @property
    def grace_ms(self) -> int:
        """The grace in whole ms, at least: where candles are found by their times."""
        return -(-self.grace_us // 1000)

    @property
    def idle_us(self) -> int:
        """`idle_seconds` in µs."""
        return micros(self.idle_seconds)

    @property
    def settled_ms(self) -> int:
        """How long after its end, in ms, a window may still be closed: after the grace, or the idle time."""
        return self.grace_ms + -(-self.idle_us // 1000)
