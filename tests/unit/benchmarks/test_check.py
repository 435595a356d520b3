"""An output that differs from the load's truth in one thing is found, and its stage has no figure."""

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from benchmarks import load
from benchmarks.check import formats, tables, truth
from benchmarks.check.candles import Revision, compare
from benchmarks.check.records import Found
from benchmarks.check.verdict import Verdict, WrongOutput, demand
from benchmarks.peers import float_candle
from benchmarks.stages.registry import STAGES, Kind

SMALL = load.Load(records=3_000, partitions=2)
MADE_AT = load.START_MS * 1000  # process_time of the load's own canonical records
SCHEMA: Any = fastavro.parse_schema(json.loads(Path("schemas/avro/candle.avsc").read_text()))


def canonical():
    """Keys and values as a right normaliser writes them."""
    keys, values = [], []
    for partition, trades in load.by_partition(load.generate(SMALL), SMALL.partitions):
        values += load.canonical_values(trades, partition, 0, schema_id=77)
        keys += [truth.key_of(trades.names[symbol]).encode() for symbol in trades.symbol.tolist()]
    return keys, values


def judged(keys, values, started_us=MADE_AT, ended_us=MADE_AT):
    found = Found(started_us)
    for at in range(0, len(values), 1_000):
        found.add(keys[at : at + 1_000], values[at : at + 1_000])
    return found.verdict(SMALL, ended_us)


def test_right_records_are_right_in_any_order():
    keys, values = canonical()
    assert judged(keys[::-1], values[::-1]) == Verdict("canonical records", right=3_000)


def test_one_lost_one_doubled_and_one_wrong_record_are_counted():
    keys, values = canonical()
    price = bytearray(values[5])
    price[44] ^= 1  # the last byte of price, after the header and three times of 8 bytes
    verdict = judged([*keys[1:], keys[9]], [*values[1:5], bytes(price), *values[6:], values[9]])
    assert verdict == Verdict("canonical records", right=2_998, wrong=1, missing=2, twice=1)


def test_a_record_under_another_key_is_wrong():
    keys, values = canonical()
    keys[0] = b"binance:ETH/BTC"
    assert (judged(keys, values).wrong, judged(keys, values).missing) == (1, 1)


def test_the_field_order_before_process_time_moved_makes_every_record_wrong():
    """What the Kafka Streams peer wrote until this was compared: process_time after trade_id."""
    keys, values = canonical()
    moved = []
    for value in values:
        at = value.index(b"\x02\x02E")  # vendor_data: one entry, its key "E"
        moved.append(value[:21] + value[29:at] + value[21:29] + value[at:])
    assert judged(keys, moved).wrong == 3_000


def test_a_process_time_outside_the_run_is_wrong():
    keys, values = canonical()
    assert judged(keys, values, started_us=MADE_AT + 1).wrong == 3_000
    assert judged(keys, values, ended_us=MADE_AT - 1).wrong == 3_000


def test_the_truth_of_candles_is_what_a_plain_loop_over_the_trades_gives():
    trades = load.generate(SMALL)
    by_hand = {}
    for row in range(SMALL.records):
        key, at = truth.key_of(trades.names[int(trades.symbol[row])]), int(trades.time_ms[row])
        price, quantity = Fraction(int(trades.price[row]), 100), Fraction(int(trades.quantity[row]), 100_000)
        for timeframe, length in truth.TIMEFRAMES_MS.items():
            by_hand.setdefault((key, timeframe, at // length * length), []).append(
                (at, price, quantity, not trades.buyer_is_maker[row])
            )
    found = truth.candles(SMALL)
    assert found.keys() == by_hand.keys()
    for window, rows in by_hand.items():
        fields = found[window]
        prices = [price for _, price, _, _ in rows]
        assert (fields["open"], fields["close"]) == (prices[0], prices[-1])
        assert (fields["high"], fields["low"]) == (max(prices), min(prices))
        assert fields["volume"] == sum(quantity for _, _, quantity, _ in rows)
        assert fields["quote_volume"] == sum(price * quantity for _, price, quantity, _ in rows)
        assert fields["taker_buy_volume"] == sum(quantity for _, _, quantity, bought in rows if bought)
        assert fields["trade_count"] == len(rows)
        assert fields["first_trade_time"] == rows[0][0] * 1000
        assert abs(fields["vwap"] - fields["quote_volume"] / fields["volume"]) <= Fraction(1, 2 * 10**18)


WINDOWS = truth.candles(SMALL)
ALL = WINDOWS.keys()


def revisions(final=None):
    return [Revision(window, dict(fields), final) for window, fields in WINDOWS.items()]


def test_right_candles_are_right_and_an_older_revision_may_be_a_part():
    part = Revision(next(iter(ALL)), {"trade_count": 1}, final=False)
    verdict = compare([part, *revisions(final=True)], WINDOWS, ALL, ALL)
    assert verdict == Verdict("candles", right=len(ALL))


@pytest.mark.parametrize("name", [*next(iter(WINDOWS.values()))])
def test_one_wrong_field_of_one_candle_is_found(name):
    found = revisions()
    found[3].fields[name] = "x" if isinstance(found[3].fields[name], str) else found[3].fields[name] + 1
    assert compare(found, WINDOWS, ALL).wrong == 1


def test_a_lost_candle_a_second_final_and_one_of_no_window_are_found():
    found = revisions(final=True)
    stray = Revision(truth.Window("binance:BTC/USDT", "1m", 0), dict(found[0].fields), final=True)
    verdict = compare([*found[1:], found[1], stray], WINDOWS, ALL, ALL)
    assert (verdict.wrong, verdict.missing, verdict.twice) == (1, 1, 1)


def test_a_final_candle_that_a_later_revision_mends_was_wrong():
    early = Revision(next(iter(ALL)), {"trade_count": 1}, final=True)
    assert compare([early, *revisions()], WINDOWS, ALL).wrong == 1


def test_an_ended_window_that_is_not_final_is_missing():
    assert compare(revisions(final=False), WINDOWS, ALL, ALL).missing == len(ALL)


def test_floats_are_held_to_their_own_precision():
    def floats(factor):
        return [
            Revision(window, {"volume": float(fields["volume"]) * factor})
            for window, fields in WINDOWS.items()
        ]

    assert compare(floats(1 + 1e-12), WINDOWS, ALL).ok
    assert not compare(floats(1 + 1e-8), WINDOWS, ALL).ok


def test_windows_end_by_their_symbol_or_by_the_slowest_partition():
    longer = load.Load(records=90_000, partitions=4)
    by_symbol, by_slowest = truth.ended(longer), truth.ended(longer, by_slowest=True)
    assert {window.timeframe for window in by_symbol} >= {"1m"}
    assert by_slowest
    newest = load.START_MS + 90_000 - truth.GRACE_MS
    assert all(
        window.open_ms + truth.TIMEFRAMES_MS[window.timeframe] < newest for window in by_symbol | by_slowest
    )


def test_avro_candles_are_read_by_their_schema():
    window, fields = next(iter(WINDOWS.items()))
    record = {name: fields.get(name) for name in (field["name"] for field in SCHEMA["fields"])}
    amounts = {name: value for name, value in fields.items() if isinstance(value, Fraction)}
    record |= {name: _decimal(value) for name, value in amounts.items()}
    record |= {"timeframe": window.timeframe, "open_time": window.open_ms, "revision": 4, "final": True}
    record |= {"raw_partition": 0, "raw_offset": 9}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, record)
    read = formats.avro_candle(formats.Record("any", window.key.encode(), b"\0\0\0\0\1" + out.getvalue()))
    assert read == Revision(window, fields, final=True)


def _decimal(value):
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 60
        return Decimal(value.numerator) / Decimal(value.denominator)


def test_the_state_of_kafka_streams_is_read_by_its_layout():
    window, fields = next(iter(WINDOWS.items()))
    scales = [(name, 10**18, 16) for name in formats.AMOUNTS[:6]] + [
        (name, 10**36, 32) for name in formats.AMOUNTS[6:]
    ]
    value = b"".join(int(fields[name] * scale).to_bytes(size, "big") for name, scale, size in scales)
    first, last = fields["first_trade_time"], fields["last_trade_time"]
    numbers = (first, 1, last, 2, fields["trade_count"], fields["trade_count"], 5, 6)
    value += b"".join(number.to_bytes(8, "big") for number in numbers)
    key = window.key.encode() + window.open_ms.to_bytes(8, "big") + bytes(4)
    topic = f"kafka-streams-candles-1-ohlcv-{window.timeframe}-changelog"
    assert compare([formats.streams_state(formats.Record(topic, key, value))], WINDOWS, {window}).ok
    with pytest.raises(ValueError, match="bytes of state"):
        formats.streams_state(formats.Record(topic, key, value[:-1]))


def test_float_candles_are_read_from_both_forms():
    trades = load.generate(SMALL)
    symbol = int(trades.symbol[0])
    rows = np.flatnonzero((trades.symbol == symbol) & (trades.time_ms < load.START_MS + 60_000))
    made = [
        {
            "price": int(trades.price[row]) / 100,
            "quantity": int(trades.quantity[row]) / 100_000,
            "side": "SELL" if trades.buyer_is_maker[row] else "BUY",
            "trade_count": 1,
        }
        for row in rows
    ]
    candle = float_candle.first(made[0])
    for trade in made[1:]:
        candle = float_candle.update(candle, trade)
    key = truth.key_of(trades.names[symbol])
    window = truth.Window(key, "1m", load.START_MS)
    start = load.START_MS / 1000
    state = formats.Record(
        "t", json.dumps([key, [start, start + 59.9]]).encode(), json.dumps(candle).encode()
    )
    final = formats.Record("t", key.encode(), json.dumps({"start": load.START_MS, "value": candle}).encode())
    assert compare([formats.faust_state(state)], WINDOWS, {window}).ok
    assert compare([formats.float_final(final)], WINDOWS, {window}, {window}).ok


def rows():
    """The load as a table of trades."""
    trades = load.generate(SMALL)
    return pa.table(
        {
            "sequence": trades.id,
            "symbol": [trades.names[symbol] for symbol in trades.symbol.tolist()],
            "price": pa.array([f"{tick / 100:.2f}" for tick in trades.price.tolist()]),
            "quantity": pa.array([f"{lot / 100_000:.5f}" for lot in trades.quantity.tolist()]),
            "sold": trades.buyer_is_maker,
            "time_us": trades.time_ms * 1000,
        }
    )


def test_right_rows_of_a_table_are_right_in_any_order():
    assert tables.trades("rows", rows().sort_by("price"), SMALL) == Verdict("rows", right=3_000)


OTHER = {"sequence": 1, "symbol": "XUSDT", "price": "0.01", "quantity": "0.00001", "time_us": 0}


@pytest.mark.parametrize("name", [*OTHER, "sold"])
def test_one_wrong_value_in_one_row_is_found(name):
    table = rows()
    values = table[name].to_pylist()
    values[1] = OTHER.get(name, not values[1])
    wrong = table.set_column(table.column_names.index(name), name, pa.array(values))
    assert tables.trades("rows", wrong, SMALL) == Verdict("rows", right=2_999, wrong=1, missing=1)


def test_a_lost_and_a_doubled_row_are_found():
    table = pa.concat_tables([rows()[1:], rows()[5:6]])
    assert tables.trades("rows", table, SMALL) == Verdict("rows", right=2_999, missing=1, twice=1)


def test_a_verdict_that_is_not_ok_is_refused_with_its_counts():
    good, bad = Verdict("candles", right=4), Verdict("canonical records", right=1, missing=1_999_999)
    assert demand([good]) == "candles: 4 right, 0 wrong, 0 missing, 0 twice"
    with pytest.raises(WrongOutput, match="1 right, 0 wrong, 1,999,999 missing"):
        demand([good, bad])
    with pytest.raises(WrongOutput):
        demand([Verdict("candles", right=0)])  # nothing at all is not right


def test_every_stage_is_held_to_something():
    for stage in STAGES:
        assert stage.check.held_to
        if stage.kind is Kind.NORMALISE:
            assert "byte for byte" in stage.check.held_to
