"""The columnar trade codec against fastavro, byte for byte."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.avro import registry, trades, wire
from k2stream.model import decimals
from k2stream.model.clock import TIME_LIMIT
from k2stream.model.errors import Unreadable
from k2stream.model.trade import TradeColumns

SCHEMA_ID = 1007  # no registry of the other tests gets so far
PARSED = fastavro.parse_schema(wire.declared("trade"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = 1_700_000_000_123_456

registry.learn(SCHEMA_ID, wire.declared("trade"))

word = st.text("ABCDEFGHIJKLMNOP/-0123456789", min_size=1, max_size=12)
odd_word = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=140)
usual_time = st.integers(NOW - 10**9, NOW + 10**9)
any_time = st.one_of(
    usual_time, st.integers(0, 10**16 - 1), st.sampled_from([0, 2**48 - 1, 2**48, 2**55 - 1, 2**55])
)
positive = st.one_of(
    st.integers(1, 10**20).map(lambda n: f"{n // 10**8}.{n % 10**8:08d}"),
    st.decimals("0.000000000000000001", "99999999999999999999", places=18).map(lambda d: format(d, "f")),
)
number = st.one_of(st.integers(0, 5000), st.integers(0, 2**63 - 1), st.integers(-(2**63), -1))


@st.composite
def batches(draw, text=word, time=usual_time, sizes=(1, 12)):
    size = draw(st.integers(*sizes))

    def column(strategy):
        return draw(st.lists(strategy, min_size=size, max_size=size))

    names = draw(st.lists(text, max_size=3, unique=True))
    columns = TradeColumns(
        exchange=draw(text),
        symbol=column(text),
        trade_id=column(text),
        timestamp=column(time),
        receive_time=column(time),
        price=column(positive),
        quantity=column(positive),
        taker_buy=column(st.booleans()),
        sequence=column(number),
        trade_count=column(st.one_of(st.just(1), st.integers(1, 2**31 - 1))),
        vendor_data={name: column(st.one_of(text, st.just(""))) for name in names},
    )
    arrays = st.lists(text, max_size=2)
    return columns, {
        "canonical": column(text),
        "raw_partition": draw(st.integers(0, 2**31 - 1)),
        "raw_offset": column(st.integers(0, 2**62)),
        "process_time": draw(time),
        "trade_conditions": draw(st.none() | st.just(column(arrays))),
        "validation_errors": draw(st.none() | st.just(column(arrays))),
    }


def records_of(columns, extra):
    """The records as dicts, with fastavro's own values for logical types."""
    return [
        {
            "timestamp": columns.timestamp[i],
            "receive_time": columns.receive_time[i],
            "process_time": extra["process_time"],
            "price": Decimal(columns.price[i]),
            "quantity": Decimal(columns.quantity[i]),
            "side": "BUY" if columns.taker_buy[i] else "SELL",
            "raw_offset": extra["raw_offset"][i],
            "sequence": columns.sequence[i],
            "raw_partition": extra["raw_partition"],
            "trade_count": columns.trade_count[i],
            "exchange": columns.exchange,
            "symbol": columns.symbol[i],
            "canonical_symbol": extra["canonical"][i],
            "trade_id": columns.trade_id[i],
            "vendor_data": {name: data[i] for name, data in columns.vendor_data.items() if data[i]},
            "trade_conditions": (extra["trade_conditions"] or [[]] * len(columns))[i],
            "validation_errors": (extra["validation_errors"] or [[]] * len(columns))[i],
        }
        for i in range(len(columns))
    ]


def by_fastavro(record, schema_id=SCHEMA_ID):
    out = io.BytesIO()
    out.write(b"\0" + schema_id.to_bytes(4, "big"))
    times = {name: record[name] for name in ("timestamp", "receive_time", "process_time")}
    for name, micros in times.items():
        if micros < 2**55:  # datetime ends in the year 9999
            times[name] = EPOCH + timedelta(microseconds=micros)
    fastavro.schemaless_writer(out, PARSED, record | times)
    return out.getvalue()


def encoded(columns, extra, schema_id=SCHEMA_ID):
    price, bad_price = decimals.parse(columns.price)
    quantity, bad_quantity = decimals.parse(columns.quantity)
    assert not bad_price and not bad_quantity
    return trades.encode(columns, price, quantity, schema_id=schema_id, **extra)


def check_decoded(values, columns, extra):
    records = records_of(columns, extra)
    keys = trades.keys(columns.exchange, extra["canonical"])
    full = trades.decode(values)
    if extra["process_time"] >= TIME_LIMIT:  # which no sink can store
        assert full.process_time.tolist() == [extra["process_time"]] * len(full)
        with pytest.raises(Unreadable):
            trades.decode_hot(values, keys)
        extra = {**extra, "process_time": 0}
        values = encoded(columns, extra)
        records, full = records_of(columns, extra), trades.decode(values)
    hot = trades.decode_hot(values, keys)
    assert [hot.keys[index] for index in hot.key] == [key.decode() for key in keys]
    for source in (hot, full):
        for name in ("timestamp", "receive_time", "raw_offset", "sequence", "raw_partition", "trade_count"):
            assert getattr(source, name).tolist() == [record[name] for record in records], name
            assert getattr(source, name).dtype == np.int64
        assert source.taker_buy.tolist() == columns.taker_buy
    for name in ("price", "quantity"):
        want = [record[name] for record in records]
        assert decimals.to_decimals(getattr(hot, name)) == want
        assert decimals.to_decimals(decimals.from_fixed16(getattr(full, name))) == want
    for name in (
        "exchange",
        "symbol",
        "canonical_symbol",
        "trade_id",
        "trade_conditions",
        "validation_errors",
    ):
        assert getattr(full, name).tolist() == [record[name] for record in records], name
    assert full.process_time.tolist() == [extra["process_time"]] * len(full)
    bounds = full.vendor_offsets.tolist()
    names, texts = full.vendor_keys.tolist(), full.vendor_values.tolist()
    assert len(names) == len(texts) == bounds[-1]
    assert [dict(zip(names[a:b], texts[a:b], strict=True)) for a, b in pairwise(bounds)] == [
        record["vendor_data"] for record in records
    ]


@settings(deadline=None)
@given(batches())
def test_usual_trades_both_ways(batch):
    values = encoded(*batch)
    assert values == [by_fastavro(record) for record in records_of(*batch)]
    check_decoded(values, *batch)


@settings(deadline=None)
@given(batches(text=st.one_of(word, odd_word), time=any_time))
def test_misfits_take_fastavro_with_the_same_result(batch):
    values = encoded(*batch)
    assert values == [by_fastavro(record) for record in records_of(*batch)]
    check_decoded(values, *batch)


@settings(deadline=None)
@given(batches(sizes=(3, 3)), st.data())
def test_damaged_records_are_told_not_guessed(batch, data):
    values = encoded(*batch)
    cut = data.draw(st.integers(0, len(values[1]) - 1))
    for damaged in (values[1][:cut], values[1] + b"\0", None):
        with pytest.raises((ValueError, LookupError)):
            trades.decode([values[0], damaged, values[2]])


def test_nothing_in_nothing_out():
    assert trades.keys("kraken", []) == []
    assert len(trades.decode([])) == len(trades.decode_hot([], [])) == 0


def test_another_writers_schema_is_resolved():
    """A writer that knows a further field, in another order, is read by name."""
    schema = wire.declared("trade")
    fields = [*reversed(schema["fields"]), {"name": "venue_fee", "type": "string"}]
    registry.learn(SCHEMA_ID + 1, schema | {"fields": fields})
    columns = TradeColumns(
        "kraken",
        ["XBT/USD"],
        ["t1"],
        [NOW],
        [NOW + 5],
        ["1.5"],
        ["0.00000002"],
        [False],
        [0],
        [1],
        {"misc": ["m"]},
    )
    extra = {
        "canonical": ["BTC/USD"],
        "raw_partition": 1,
        "raw_offset": [9],
        "process_time": NOW + 9,
        "trade_conditions": None,
        "validation_errors": None,
    }
    out = io.BytesIO()
    out.write(b"\0" + (SCHEMA_ID + 1).to_bytes(4, "big"))
    record = records_of(columns, extra)[0] | {"venue_fee": "0"}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema | {"fields": fields}, _force=True), record)
    check_decoded([out.getvalue()], columns, extra)
    both = trades.decode([out.getvalue(), *encoded(columns, extra)])
    assert both.symbol.tolist() == ["XBT/USD"] * 2 and both.raw_offset.tolist() == [9, 9]
