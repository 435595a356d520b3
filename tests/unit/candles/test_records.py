"""A record that is no trade costs itself, not the batch."""

import numpy as np
import pytest
from faust.types import TP

from k2stream import deadletter, topics
from k2stream.avro import registry, trades, wire
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.model import decimals
from k2stream.model.errors import StateRefused, UnknownSchema
from k2stream.model.trade import TradeColumns

KEY = b"binance:BTC/USDT"


@pytest.fixture(autouse=True)
def schema():
    registry.learn(7, wire.declared("trade"))


def batch(*values):
    count = len(values)
    return RecordBatch(
        TP(topics.NORMALIZED, 3), np.arange(40, 40 + count), np.arange(count), [KEY] * count, list(values)
    )


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
    assert (letter.topic, letter.partition, letter.offset) == (topics.NORMALIZED, 3, 41)
    assert (letter.exchange, letter.original_bytes) == ("binance", bad or b"")


def stored(offset, **changed):
    """A record as it may be written by others, its numbers at scale 18."""
    one, now = (10**18).to_bytes(16, "big"), 1_767_225_600_000_000
    numbers = {"timestamp": now, "receive_time": now, "process_time": now, "price": one, "quantity": one}
    places = {"raw_offset": offset, "sequence": 1, "raw_partition": 3, "trade_count": 1, "side": "BUY"}
    names = {"exchange": "binance", "symbol": "BTCUSDT", "canonical_symbol": "BTC/USDT", "trade_id": "1"}
    rest = {"vendor_data": {}, "trade_conditions": [], "validation_errors": []}
    return wire.write(numbers | places | names | rest | changed, "trade", 7)


def decimal(number):
    return (number * 10**18).to_bytes(16, "big", signed=True)


@pytest.mark.parametrize(
    "bad",
    [
        {"price": decimal(-5)},
        {"quantity": decimal(0)},
        {"quantity": decimal(-1)},
        {"price": decimal(10**20 - 1)},
        {"price": (10**38).to_bytes(16, "big"), "quantity": (1).to_bytes(16, "big")},
        {"price": decimal(10**7), "quantity": decimal(10**7)},
        {"raw_partition": 1 << 31},
        {"trade_count": 1 << 31},
        {"process_time": -1},
    ],
    ids=lambda bad: "-".join(bad),
)
def test_a_trade_that_no_candle_can_be_made_of_costs_itself_alone(bad):
    """It ended the worker, which could not write its state or divide by the volume, again at each start."""
    _, hot, letters = records.read(batch(stored(0), stored(1, **bad), stored(2)))
    assert (hot.raw_offset.tolist(), list(letters)) == ([0, 2], [1])


@pytest.mark.parametrize("end", [b"\xff" * 30, b""], ids=["no text", "cut"])
def test_a_late_trade_whose_strings_cannot_be_read_was_not_fetched(end):
    """Whether it was is asked of late trades only: the worker ended, again at each start."""
    whole = stored(1)
    _, hot, letters = records.read(
        batch(stored(0, trade_conditions=["backfilled"]), whole[:-30] + end, stored(2))
    )
    assert (hot.raw_offset.tolist(), letters) == ([0, 1, 2], {})
    assert hot.backfilled(np.arange(3)).tolist() == [True, False, False]


def test_the_largest_trades_are_read():
    largest = {"price": decimal(10**12), "quantity": decimal(9)}, {"raw_partition": (1 << 31) - 1}
    smallest = dict.fromkeys(("price", "quantity"), (1).to_bytes(16, "big"))
    _, hot, letters = records.read(batch(*(stored(n, **each) for n, each in enumerate((*largest, smallest)))))
    assert (hot.raw_offset.tolist(), letters) == ([0, 1, 2], {})


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


def renumbered(name):
    """As a registry that was recreated says: another schema under the trades' id, and they under another."""
    registry.learn(7, wire.declared(name))
    registry.learn(8, wire.declared("trade"))


def test_trades_under_an_id_that_is_another_schema_by_now_are_refused_and_no_dead_letters():
    written = [value(n) for n in range(3)]
    renumbered("candle")
    with pytest.raises(
        StateRefused, match=r"normalized\[3\], offset 40: a trade under id 7.*`k2 mend candles --rebuild`"
    ):
        records.read(batch(*written))


def test_one_among_others_is_refused_too():
    before = value(0)
    renumbered("candle")
    after = before[:1] + (8).to_bytes(4, "big") + before[5:]
    with pytest.raises(StateRefused):
        records.read(batch(after, before, after))


def test_junk_under_any_id_is_a_dead_letter(monkeypatch):
    def unknown(_, schema_id, __):
        raise UnknownSchema(f"no schema {schema_id}")

    monkeypatch.setattr(registry, "_registered", {})  # of tests before, which it would be asked for
    monkeypatch.setattr(registry, "_retried", unknown)
    junk = b"\x00" + (999).to_bytes(4, "big") + b"junk"
    _, hot, letters = records.read(batch(value(0), junk, value(2)))
    assert hot.raw_offset.tolist() == [0, 2]
    assert "no schema 999" in letters[1].cause


def test_a_trade_that_is_bad_in_itself_is_a_dead_letter_under_its_own_id():
    written = batch(value(0), value(1))
    written.keys[1] = None
    _, _, letters = records.read(written)
    assert list(letters) in ([], [1])


def test_an_endless_key_costs_its_own_record_alone():
    values: list[bytes | None] = [value(0), value(1), value(2)]
    keys: list[bytes | None] = [KEY, b"k" * topics.MAX_BYTES, KEY]
    _, hot, letters = records.read(RecordBatch(TP("n", 3), np.arange(3), np.arange(3), keys, values))
    assert (hot.raw_offset.tolist(), list(letters)) == ([0, 2], [1])
