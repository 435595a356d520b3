"""A record that is no trade costs itself, not the batch."""

import numpy as np
import pytest
from faust.types import TP

from k2stream import deadletter, decimals, topics
from k2stream.avro import registry, trades, wire
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.trade import TradeColumns

KEY = b"binance:BTC/USDT"


@pytest.fixture(autouse=True)
def schema():
    registry.learn(7, wire.declared("trade"))


def batch(*values):
    count = len(values)
    return RecordBatch(TP("n", 3), np.arange(40, 40 + count), np.arange(count), [KEY] * count, list(values))


def value(offset):
    columns = TradeColumns("binance", ["BTCUSDT"], ["1"], [5], [6], ["2.5"], ["1"], [True], [1], [1])
    price, quantity = decimals.parse(columns.price)[0], decimals.parse(columns.quantity)[0]
    (record,) = trades.encode(
        columns,
        price,
        quantity,
        canonical=["BTC/USDT"],
        raw_partition=3,
        raw_offset=[offset],
        process_time=7,
        schema_id=7,
    )
    return record


def test_trades_pass_as_they_are():
    read = batch(value(0), value(1))
    good, hot, letters = records.read(read)
    assert good is read
    assert (hot.raw_offset.tolist(), letters) == ([0, 1], {})


@pytest.mark.parametrize("bad", [b"", b"{}", None, value(1)[:-20], value(1) + b"x"])
def test_anything_else_is_a_dead_letter_with_its_position_and_bytes(bad):
    good, hot, letters = records.read(batch(value(0), bad, value(2)))
    assert hot.raw_offset.tolist() == [0, 2]
    assert good.offsets.tolist() == [40, 42]
    letter = letters[1]
    assert (letter.topic, letter.partition, letter.offset) == ("n", 3, 41)
    assert (letter.exchange, letter.original_bytes) == ("binance", bad or b"")


def test_a_batch_of_nothing_but_junk_is_empty():
    _, hot, letters = records.read(batch(b"x", b"y"))
    assert (len(hot), sorted(letters)) == (0, [0, 1])


def test_a_record_near_a_megabyte_is_a_letter_that_can_be_written():
    """Its letter held all of it: it was too large for Kafka, and ended the worker again and again."""
    _, hot, letters = records.read(batch(value(0), b"x" * 1_000_000))
    assert (len(hot), list(letters)) == (1, [1])
    assert len(deadletter.encode(letters[1])) <= topics.MAX_BYTES
    long = RecordBatch(TP("n", 3), np.arange(1), np.arange(1), [b"k" * topics.MAX_BYTES], [value(0)])
    assert len(records.read(long)[2]) == 1  # as a late trade it could not be written again
