"""No bytes on a topic end a reader: they are read, or are a dead letter."""

import json

import numpy as np
import pytest
from faust.types import TP
from hypothesis import example, given, settings
from hypothesis import strategies as st

from k2stream import faults, topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.layers import bronze, certificates, gold, kline_checks, silver
from k2stream.layers.routes import HOT

ROUTES = (silver.ROUTE, gold.ROUTES[0], *bronze.ROUTES)
HEADERS = st.sampled_from([b"", wire.header(7001), wire.header(7002)])
VALUES = st.builds(lambda head, body: head + body, HEADERS, st.binary(max_size=260)) | st.none()


@pytest.fixture(autouse=True, scope="module")
def schemas():
    registry.learn(7001, wire.declared("trade"))
    registry.learn(7002, wire.declared("candle"))


def delivery(route, values):
    offsets = np.arange(len(values))
    return RecordBatch(TP(route.topic, 0), offsets, offsets, [b"k"] * len(values), list(values))


TOO_LATE, TOO_HIGH = 10**16, (10**38).to_bytes(16, "big")
TIMES = ("timestamp", "receive_time", "process_time")
TRADE = {
    **dict.fromkeys(TIMES, 1_700_000_000_000_000),
    **dict.fromkeys(("price", "quantity"), (5).to_bytes(16, "big")),
    **dict.fromkeys(("raw_offset", "sequence", "raw_partition", "trade_count"), 1),
    **dict.fromkeys(("exchange", "symbol", "canonical_symbol", "trade_id"), "a"),
    "trade_conditions": [],
    "validation_errors": [],
    "side": "BUY",
    "vendor_data": {},
}
SPOILED_TRADE = {
    **dict.fromkeys(TIMES, TOO_LATE),
    **dict.fromkeys(("price", "quantity"), TOO_HIGH),
    "vendor_data": {"a": "b" * 900_000},
}
"""For each field, a value that no layer can store."""

CANDLE = {
    one["name"]: b"\x05"
    if "precision" in str(one["type"])
    else {"string": "a", "int": 0, "boolean": True}.get(str(one["type"]), 60_000)
    for one in wire.declared("candle")["fields"]
}
SPOILED_CANDLE = dict.fromkeys(("open_time", "close_time", "first_trade_time", "last_trade_time"), -1)

CHECK = {
    **dict.fromkeys(("exchange", "symbol", "canonical_symbol", "timeframe"), "a"),
    **dict.fromkeys(("open_time", "revision", "checked_time"), 1),
    "status": "equal",
}
SPOILED_CHECK = {"open_time": -1, "checked_time": -1, "revision": 2**63, "status": "none"}

TEXTS = "exchange symbol canonical_symbol timeframe open high low close volume quote_volume raw_topic sha256"
NUMBERS = "open_time close_time revision trade_count records first_trade_time last_trade_time raw_partition"
UNKNOWN = "first_id last_id missing missing_before filled live fetched feed"
CERTIFICATE = {
    **dict.fromkeys(TEXTS.split(), "a"),
    **dict.fromkeys((*NUMBERS.split(), "raw_offset"), 1),
    **dict.fromkeys(UNKNOWN.split()),
    "revisions": [],
}
SPOILED_CERTIFICATE = {"open_time": -1, "trade_count": 2**63, "raw_partition": 2**31, "revision": 2**63}

SPOILED_RAW = {"k2_recv": -1, "k2_conn": 1, "k2_seq": 2**63}
RAW: dict[str, dict[str, object]] = {
    "binance": {"e": "trade", "E": 1, "s": "A", "t": 1, "p": "1", "q": "1", "T": 1, "m": True},
    "kraken": {"pair": "A/B", **dict.fromkeys(("price", "volume", "time", "side", "orderType", "misc"), "1")},
    "coinbase": dict.fromkeys(("trade_id", "product_id", "price", "size", "side", "time", "type"), "1"),
}


def kinds(route):
    """How a record of the route is written, its fields, and a spoiled value for some."""
    match route.table:
        case silver.ROUTE.table:
            return lambda row: wire.write(row, "trade", 7001), TRADE, SPOILED_TRADE
        case certificates.TABLE:
            return lambda row: json.dumps(row).encode(), CERTIFICATE, SPOILED_CERTIFICATE
        case kline_checks.TABLE:
            return lambda row: json.dumps(row).encode(), CHECK, SPOILED_CHECK
        case table if table.startswith("bronze"):
            fields = {**RAW[topics.exchange_of(route.topic)], "k2_recv": 1, "k2_conn": "c", "k2_seq": 1}
            return lambda row: json.dumps(row, separators=(",", ":")).encode(), fields, SPOILED_RAW
        case _:
            return lambda row: wire.write(row, "candle", 7002), CANDLE, SPOILED_CANDLE


@pytest.mark.parametrize("route", HOT.values(), ids=lambda route: route.table)
@given(data=st.data())
@settings(max_examples=25)
def test_records_spoiled_in_different_ways_are_all_letters(route, data):
    """A reader that names only what its first check finds died of the others, again after each start."""
    write, fields, spoiled = kinds(route)
    bad = [write({**fields, name: value}) for name, value in spoiled.items()] + [b"junk", None]
    chosen = data.draw(st.lists(st.sampled_from(bad), min_size=2, max_size=4))
    values = data.draw(st.permutations([*chosen, write(fields)]))
    good = values.index(write(fields))
    rest, rows, causes = faults.read(delivery(route, values), route.columns)
    assert (len(rows), rest.offsets.tolist()) == (1, [good])
    assert sorted([*causes, good]) == list(range(len(values)))


@given(st.lists(st.sampled_from([*TIMES[:2], "vendor_data", ""]), min_size=2, max_size=4))
def test_trades_spoiled_in_different_ways_are_all_letters_of_candles(names):
    rows = [{**TRADE, name: SPOILED_TRADE[name]} if name else None for name in names]
    values = [wire.write(row, "trade", 7001) if row else b"junk" for row in (*rows, TRADE)]
    rest, trades, letters = records.read(delivery(silver.ROUTE, values))
    assert (len(trades), rest.offsets.tolist(), sorted(letters)) == (1, [len(names)], list(range(len(names))))


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(ROUTES))
@example([wire.header(7001) + b"\x80" * 200], silver.ROUTE)
def test_any_bytes_are_rows_or_letters(values, route):
    batch = delivery(route, values)
    rest, rows, causes = faults.read(batch, route.columns)
    assert len(rows) == len(rest) == len(values) - len(causes)
    rest, trades, letters = records.read(batch)
    assert len(trades) == len(rest) == len(values) - len(letters)


@given(st.binary(min_size=1, max_size=40), st.integers(5, 120))
def test_a_spoiled_candle_is_a_row_or_a_letter(noise, at):
    value = wire.write(CANDLE, "candle", 7002)
    spoiled = value[:at] + noise + value[at + len(noise) :]
    route = gold.ROUTES[0]
    rest, rows, _ = faults.read(delivery(route, [spoiled]), route.columns)
    assert len(rows) == len(rest)
