"""Where the candles of the cold tier begin and end."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from k2stream.iceberg import candles
from k2stream.iceberg.candles import ColdTier
from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.settings import make

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
MINUTE = 60_000


@pytest.fixture
def tier(monkeypatch, tmp_path):
    """Windows of the first two minutes of 1970, and of a year that is to come."""
    ahead = clock.now_us() // 1000 + 366 * 1440 * MINUTE
    held = [0, MINUTE, ahead]

    def scan(table, instrument, start, end, columns):
        found = [datetime.fromtimestamp(time / 1000, UTC) for time in held if start <= time < end]
        return pa.table({"open_time": pa.array(found, pa.timestamp("us", "UTC"))})

    def month(time):
        at = datetime.fromtimestamp(time / 1000, UTC)
        return (at.year - 1970) * 12 + at.month - 1

    monkeypatch.setattr(ColdTier, "_table", lambda self, timeframe: None)
    monkeypatch.setattr(candles, "_months", lambda table: sorted({month(time) for time in held}))
    monkeypatch.setattr(candles, "_scan", scan)
    return ColdTier(make(data_dir=str(tmp_path)).iceberg)


def test_a_candle_dated_ahead_does_not_tell_how_far_the_others_are(tier):
    assert (tier.oldest(BTC, "1m"), tier.latest(BTC, "1m")) == (0, MINUTE)
