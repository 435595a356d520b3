"""Only final candles are taken from a candle topic, and what is no candle costs itself."""

from decimal import Decimal

import numpy as np
import pytest
from faust.types import TP

from k2stream import topics
from k2stream.avro import candles, registry, wire
from k2stream.batch import RecordBatch
from k2stream.candles import finals
from k2stream.model.candle import Candle

CANDLE_ID = 7003
SCALE = 10**18


@pytest.fixture(autouse=True)
def schema():
    registry.learn(CANDLE_ID, wire.declared("candle"))


def row(minute, *, final):
    start = minute * 60_000
    amounts = [number * SCALE for number in range(1, 10)]
    return ("kraken", "XBT/USD", "BTC/USD", "1m", start, start + 59_999, *amounts, 5, 1, 2, 3, final, 0, 9)


def batch(*values):
    count = len(values)
    tp = TP(topics.ohlcv("1m"), 2)
    return RecordBatch(tp, np.arange(count), np.arange(count), [b"kraken:BTC/USD"] * count, list(values))


def test_final_candles_are_read_and_revisions_are_not():
    values = [candles.encode(row(minute, final=minute % 2 == 0), CANDLE_ID) for minute in range(4)]
    found = finals.read(batch(*values))
    candles_found = [item.candle for item in found]
    assert [(item.open_time, item.open) for item in candles_found] == [(0, Decimal(1)), (120_000, Decimal(1))]
    assert all(isinstance(item, Candle) and item.final for item in candles_found)
    assert [item.published for item in found] == [0, 2]


def test_what_is_no_candle_is_logged_and_left_out(caplog):
    good = candles.encode(row(1, final=True), CANDLE_ID)
    assert [item.candle.open_time for item in finals.read(batch(good, b"no candle", good))] == [60_000] * 2
    assert f"{topics.ohlcv('1m')}[2] offset 1 is no candle" in caplog.text
