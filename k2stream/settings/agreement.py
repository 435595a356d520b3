"""Settings of the comparison of candles with the exchanges' own klines."""

from __future__ import annotations

from k2stream.settings.kinds import Positive, Seconds, Section, micros


class AgreementSettings(Section, frozen=True, kw_only=True, rename="agreement_{}".format):
    """Whether, when and how fast final candles are compared; durations in seconds."""

    enabled: bool = True
    delay_seconds: Seconds = 60.0  # after a candle became final; as long again before a kline is missed
    requests_per_minute: Positive = 30  # to each exchange; what that is too few for is compared later
    max_pending: Positive = 20_000  # candles that wait; what comes beyond is not compared, and counted

    @property
    def delay_us(self) -> int:
        """`delay_seconds` in µs."""
        return micros(self.delay_seconds)
