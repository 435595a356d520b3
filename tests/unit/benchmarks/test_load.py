"""What the benchmarks load is what the platform itself would have written."""

import json
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import load
from benchmarks.peers import avro_trade
from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.avro import trades as codec
from k2stream.exchanges import raw
from k2stream.exchanges.binance import BINANCE

SMALL = load.Load(records=5_000, partitions=4)


def rows_of(trades, count):
    return trades.rows(np.arange(count))


def test_raw_records_are_those_of_the_ingest():
    values = load.raw_values(rows_of(load.generate(SMALL), 200))
    for value in values:
        head, _, tail = value.partition(b',"k2_recv":')
        frame = BINANCE.parse(head + b"}")
        (trade,) = frame.trades
        receive_time, _, rest = tail.partition(b",")
        sequence = rest.rpartition(b":")[2].rstrip(b"}")
        assert raw.record(trade, int(receive_time), "binance-load", int(sequence)) == value


def test_canonical_records_are_those_of_the_raw_ones():
    registry.learn(1, wire.declared("trade"))
    batch = rows_of(load.generate(SMALL), 500)
    records, bad = raw.decode(BINANCE, load.raw_values(batch))
    columns = BINANCE.normalize(records)
    decoded = codec.decode(load.canonical_values(batch, partition=3, first_offset=40, schema_id=1))
    assert not bad
    assert decoded.timestamp.tolist() == columns.timestamp
    assert decoded.trade_id.tolist() == columns.trade_id
    assert decoded.taker_buy.tolist() == columns.taker_buy
    assert decoded.raw_offset.tolist() == list(range(40, 540))
    assert [int.from_bytes(bytes(price), "big") for price in decoded.price] == [
        round(float(price) * 100) * 10**16 for price in columns.price
    ]


def test_canonical_records_are_those_that_fastavro_writes_of_the_raw_ones():
    """The truth that all outputs are compared with is held to the schema without the platform's codec."""
    batch = rows_of(load.generate(SMALL), 300)
    values = load.canonical_values(batch, partition=3, first_offset=40, schema_id=1)
    for offset, (raw_value, value) in enumerate(zip(load.raw_values(batch), values, strict=True), start=40):
        trade = avro_trade.canonical(json.loads(raw_value), 3, offset)
        assert avro_trade.encode(trade | {"process_time": load.START_MS * 1000}) == value


def test_every_symbol_has_ids_without_holes_and_rising_times():
    trades = load.generate(SMALL)
    for symbol in range(len(trades.names)):
        mine = trades.symbol == symbol
        assert all(b == a + 1 for a, b in pairwise(trades.id[mine].tolist()))
        assert (np.diff(trades.time_ms[mine]) >= 0).all()


def test_partitions_hold_every_trade_once_by_the_platforms_rule():
    trades = load.generate(SMALL)
    parts = dict(load.by_partition(trades, SMALL.partitions))
    assert sum(len(part.id) for part in parts.values()) == SMALL.records
    for number, part in parts.items():
        symbols = {part.names[symbol] for symbol in part.symbol.tolist()}
        assert {topics.partition_of(symbol, SMALL.partitions) for symbol in symbols} <= {number}


@pytest.mark.parametrize("count", [1, 33, 1_000])
def test_names_are_distinct(count):
    names = load.Load(symbols=count).names()
    assert len(set(names)) == count
