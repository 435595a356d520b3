"""Rows of each layer against the records they came from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import numpy as np
import pytest
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from k2stream import exchanges, faults, topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.delivery.route import OFFSET, beyond, stored
from k2stream.exchanges import raw
from k2stream.layers import bronze, gold, kline_checks, silver
from k2stream.model.kline_checks import Agreement, KlineCheck

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRADE_ID, CANDLE_ID = 7001, 7002
FRAMES = {
    "binance": (
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":12345,"p":"0.00100000",'
        '"q":"100","T":1700000000120,"m":true,"M":true}}',
        '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000123,"s":"BTCUSDT","a":777,"p":"83285",'
        '"q":"0.00000002","f":100,"l":105,"T":1700000000120,"m":false,"M":true}}',
    ),
    "kraken": (
        '[337,[["83285.10000","0.00001000","1700000000.123456","b","l",""],["83285.10000","0.00001000",'
        '"1700000000.123456","b","l",""]],"trade","XBT/USD"]',
    ),
    "coinbase": (
        '{"channel":"market_trades","client_id":"","timestamp":"2026-01-01T00:00:00Z","sequence_num":0,"events":'
        '[{"type":"snapshot","trades":[{"trade_id":"1000","product_id":"BTC-USD","price":"83285.1","size":"0.1",'
        '"side":"BUY","time":"2026-01-01T00:00:00.123456789Z"}]}]}',
    ),
}


@pytest.fixture(autouse=True)
def schemas():
    registry.learn(TRADE_ID, wire.declared("trade"))
    registry.learn(CANDLE_ID, wire.declared("candle"))


def batch(topic, values, first=100):
    offsets = np.arange(first, first + len(values))
    return RecordBatch(TP(topic, 3), offsets, offsets * 1000, [None] * len(values), values)


def raw_values(exchange):
    trades = [
        trade for frame in FRAMES[exchange] for trade in exchanges.get(exchange).parse(frame.encode()).trades
    ]
    return [raw.record(trade, 1_700_000_000_200_000 + n, "conn-1", n) for n, trade in enumerate(trades)]


@pytest.mark.parametrize("route", bronze.ROUTES, ids=lambda route: route.table)
def test_bronze_keeps_the_exchanges_own_fields(route):
    exchange = route.table.removeprefix("bronze_trades_")
    values = raw_values(exchange)
    rows = route.columns(batch(route.topic, list(values)))
    assert stored(rows).schema.equals(route.schema)
    for index, (row, value) in enumerate(zip(rows.to_pylist(), values, strict=True)):
        native = json.loads(value)
        received = native.pop("k2_recv")
        assert row.pop("receive_time") == EPOCH + timedelta(microseconds=received)
        assert (row.pop("connection"), row.pop("sequence")) == (native.pop("k2_conn"), native.pop("k2_seq"))
        assert (row.pop("raw_partition"), row.pop("raw_offset")) == (3, 100 + index)
        assert row.pop(OFFSET) == 100 + index
        assert {name: value for name, value in row.items() if value is not None} == native


def test_bronze_keeps_identical_trades_apart():
    rows = bronze.ROUTES[1].columns(batch(topics.raw("kraken"), raw_values("kraken"))).to_pylist()
    first, second = rows
    assert {name for name in first if first[name] != second[name]} >= {"raw_offset"}
    assert (first["pair"], first["time"], first["side"]) == ("XBT/USD", "1700000000.123456", "b")


def test_bronze_leaves_out_what_cannot_be_read_and_says_so():
    values = [*raw_values("kraken"), b"{", b'{"pair":1}']
    given = batch(topics.raw("kraken"), [values[2], values[0], values[3], values[1]])
    _, rows, causes = faults.read(given, bronze.ROUTES[1].columns)
    assert rows[OFFSET].to_pylist() == [101, 103]
    assert sorted(causes) == [0, 2]


@pytest.mark.parametrize(
    "changed",
    [{"timestamp": -1}, {"receive_time": 10**16}, {"price": (10**38).to_bytes(16, "big", signed=True)}],
)
def test_silver_refuses_what_not_all_layers_store(changed):
    trade = {"timestamp": 5, "receive_time": 6, "process_time": 7, "side": "BUY", "exchange": "kraken"}
    trade |= {name: (5).to_bytes(16, "big") for name in ("price", "quantity")}
    trade |= {"raw_offset": 1, "sequence": 1, "raw_partition": 0, "trade_count": 1, "symbol": "a"}
    trade |= {"canonical_symbol": "A/B", "trade_id": "1", "vendor_data": {}}
    trade |= {"trade_conditions": [], "validation_errors": []}
    registry.learn(7, wire.declared("trade"))
    values = [wire.write(row, "trade", 7) for row in (trade, trade | changed, trade)]
    _, rows, causes = faults.read(batch(topics.NORMALIZED, values), silver.ROUTE.columns)
    assert (len(rows), list(causes)) == (2, [1])


def test_numbers_in_coinbase_trades_keep_their_digits():
    value = raw_values("coinbase")[0].replace(b'"83285.1"', b"83285.10").replace(b'"0.1"', b"1e-7")
    (row,) = bronze.ROUTES[2].columns(batch(topics.raw("coinbase"), [value])).to_pylist()
    assert (row["price"], row["size"], row["trade_id"]) == ("83285.10", "1e-7", "1000")


TEXT = st.text(max_size=12)
MICROS = st.integers(10**15, 4 * 10**15)
MANTISSA = st.integers(-(10**38) + 1, 10**38 - 1)
TRADES = st.fixed_dictionaries(
    {
        "timestamp": MICROS,
        "receive_time": MICROS,
        "price": MANTISSA,
        "quantity": MANTISSA,
        "side": st.sampled_from(["BUY", "SELL"]),
        "raw_offset": st.integers(0, 2**62),
        "sequence": st.integers(0, 2**62),
        "raw_partition": st.integers(0, 100),
        "trade_count": st.integers(1, 2**31 - 1),
        "exchange": st.sampled_from(topics.EXCHANGES),
        "symbol": TEXT,
        "canonical_symbol": TEXT,
        "trade_id": TEXT,
        "process_time": MICROS,
        "vendor_data": st.dictionaries(TEXT, TEXT, max_size=3),
        "trade_conditions": st.lists(TEXT, max_size=2),
        "validation_errors": st.lists(TEXT, max_size=2),
    }
)


def as_avro(trade):
    decimals = {name: trade[name].to_bytes(16, "big", signed=True) for name in ("price", "quantity")}
    return wire.write({**trade, **decimals}, "trade", TRADE_ID)


@settings(deadline=None, max_examples=60)
@given(st.lists(TRADES, min_size=1, max_size=8))
def test_silver_is_what_fastavro_wrote(trades):
    rows = silver.ROUTE.columns(batch(topics.NORMALIZED, [as_avro(trade) for trade in trades]))
    assert stored(rows).schema.equals(silver.ROUTE.schema)
    assert [as_trade(row) for row in stored(rows).to_pylist()] == trades


def as_trade(row):
    micros = timedelta(microseconds=1)
    times = {name: (row[name] - EPOCH) // micros for name in ("timestamp", "receive_time", "process_time")}
    numbers = {name: int(row[name].scaleb(18, Context(prec=40))) for name in ("price", "quantity")}
    return {**row, **times, **numbers, "vendor_data": dict(row["vendor_data"])}


def trade(offset, exchange="binance", partition=0):
    return as_avro(
        {
            **dict.fromkeys(("timestamp", "receive_time", "process_time"), 1_700_000_000_000_000),
            **dict.fromkeys(("price", "quantity", "sequence", "trade_count"), 1),
            **dict.fromkeys(("symbol", "canonical_symbol", "trade_id"), "x"),
            "side": "BUY",
            "vendor_data": {},
            "trade_conditions": [],
            "validation_errors": [],
            "raw_offset": offset,
            "raw_partition": partition,
            "exchange": exchange,
        }
    )


def test_silver_drops_replays_within_and_between_batches():
    first = [trade(5), trade(6), trade(5), trade(6), trade(7), trade(2, "kraken")]
    rows, marks = silver.fresh(silver.ROUTE.columns(batch(topics.NORMALIZED, first)), {})
    assert rows["raw_offset"].to_pylist() == [5, 6, 7, 2]
    assert marks == {"binance:0": 7, "kraken:0": 2}
    second = [trade(7), trade(3, "kraken"), trade(9), trade(8), trade(0, partition=1)]
    rows, marks = silver.fresh(silver.ROUTE.columns(batch(topics.NORMALIZED, second)), marks)
    assert rows["raw_offset"].to_pylist() == [3, 9, 0]
    assert marks == {"binance:0": 9, "kraken:0": 3, "binance:1": 0}


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=30
    ),
    st.integers(1, 30),
)
@settings(deadline=None, max_examples=60)
def test_fresh_does_not_depend_on_the_batching(records, cut):
    values = [trade(offset, exchange, partition) for exchange, partition, offset in records]
    highest, wanted = {}, []
    for exchange, partition, offset in records:
        if offset > highest.get((exchange, partition), -1):
            wanted.append((exchange, partition, offset))
            highest[exchange, partition] = offset
    marks: Mapping[str, int] = {}
    found = []
    for part in (values[:cut], values[cut:]):
        if part:
            rows, marks = silver.fresh(silver.ROUTE.columns(batch(topics.NORMALIZED, part)), marks)
            found += [(row["exchange"], row["raw_partition"], row["raw_offset"]) for row in rows.to_pylist()]
    assert found == wanted


def candle(symbol, minute, revision, close="1.5"):
    money = {name: Decimal("1.25") for name in ("open", "high", "low", "volume", "quote_volume")}
    money |= {name: Decimal("0") for name in ("taker_buy_volume", "taker_buy_quote_volume", "vwap")}
    scaled = {name: int(value.scaleb(18)) for name, value in {**money, "close": Decimal(close)}.items()}
    return {
        "exchange": "kraken",
        "symbol": symbol,
        "canonical_symbol": symbol,
        "timeframe": "1m",
        "open_time": minute * 60_000,
        "close_time": minute * 60_000 + 59_999,
        **{name: value.to_bytes(16, "big", signed=True) for name, value in scaled.items()},
        "trade_count": revision,
        "first_trade_time": 1,
        "last_trade_time": 2,
        "revision": revision,
        "final": revision > 2,
        "raw_partition": 0,
        "raw_offset": revision,
    }


def test_gold_is_what_fastavro_wrote_and_merges_to_the_highest_revision():
    records = [
        candle("A", 1, 1),
        candle("B", 1, 3),
        candle("A", 1, 2, "7"),
        candle("A", 2, 1),
        candle("B", 1, 2),
    ]
    values = [wire.write(record, "candle", CANDLE_ID) for record in records]
    route = gold.ROUTES[0]
    rows = route.columns(batch(route.topic, values))
    assert stored(rows).schema.equals(route.schema)
    first = rows.to_pylist()[0]
    assert (first["open"], first["close"], first["final"]) == (Decimal("1.25"), Decimal("1.5"), False)
    assert first["open_time"] == EPOCH + timedelta(minutes=1)
    assert first["last_trade_time"] == EPOCH + timedelta(microseconds=2)
    merged = [(row["symbol"], row["trade_count"], row["close"]) for row in route.merge(rows).to_pylist()]
    assert merged == [("B", 3, Decimal("1.5")), ("A", 2, Decimal("7")), ("A", 1, Decimal("1.5"))]


def test_beyond_an_offset():
    rows = bronze.ROUTES[1].columns(batch(topics.raw("kraken"), raw_values("kraken")))
    assert [len(beyond(rows, offset)) for offset in (-1, 99, 100, 101, 500)] == [2, 2, 1, 0, 0]


def test_comparisons_with_klines_keep_every_field_and_what_is_none_is_refused():
    check = KlineCheck(
        exchange="kraken",
        symbol="XBT/USD",
        canonical_symbol="BTC/USD",
        timeframe="1m",
        open_time=1_760_000_040_000,
        revision=9,
        status=Agreement.DIFFERENT,
        checked_time=1_760_000_160_000_001,
        fields=("close", "volume"),
        ours=("1.5", "3"),
        theirs=("1.50000001", "4"),
    )
    fields = to_builtins(check)
    values = [json.dumps(fields | more).encode() for more in ({}, {"reason": "why"})]
    rows = stored(kline_checks.columns(batch(topics.KLINE_CHECKS, values))).to_pylist()
    assert [row["reason"] for row in rows] == ["", "why"]
    assert rows[0]["open_time"] == EPOCH + timedelta(milliseconds=check.open_time)
    assert rows[0]["checked_time"] == EPOCH + timedelta(microseconds=check.checked_time)
    kept = {name: rows[0][name] for name in ("status", "revision", "fields", "ours", "theirs", "timeframe")}
    assert kept == {
        "status": "different", "revision": 9, "timeframe": "1m",
        "fields": ["close", "volume"], "ours": ["1.5", "3"], "theirs": ["1.50000001", "4"],
    }  # fmt: skip
    for bad in (b"{}", b"", values[0].replace(b"1760000040000", b"-1")):
        with pytest.raises(ValueError):
            kline_checks.columns(batch(topics.KLINE_CHECKS, [bad]))
