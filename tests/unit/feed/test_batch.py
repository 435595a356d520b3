"""Frames to records."""

import base64
import json

import pytest

from k2stream import exchanges, topics
from k2stream.deadletter import MAX_ORIGINAL
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Answer, Frame, Kind, Reject, Request, Subscription
from k2stream.feed.batch import REORDER_US, Batcher, Connection
from k2stream.feed.subscriptions import Subscriptions
from k2stream.model.trade import RawTrade

NOW = 1_700_000_000_123_456


def batcher(name="binance", parse=None):
    exchange = exchanges.get(name)
    if parse:
        from dataclasses import replace

        exchange = replace(exchange, parse=parse)
    return Batcher(exchange, 1, simulated=True)


def binance(symbol, number):
    data = {
        "e": "trade",
        "E": 1,
        "s": symbol,
        "t": number,
        "p": "1.50",
        "q": "2",
        "T": 1,
        "m": True,
        "M": True,
    }
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}).encode()


def test_each_trade_goes_to_the_partition_of_its_symbol():
    batches = batcher()
    link = Connection("binance-1")
    for number in range(3):
        batches.add(link, NOW + number * 1000, binance("BTCUSDT", number))
        batches.add(link, NOW + number * 1000, binance("ETHUSDT", number))
    batch = batches.take()
    assert batch.trades == 6
    for symbol in ("BTCUSDT", "ETHUSDT"):
        columns = batch.columns[topics.raw("binance"), topics.partition_of(symbol, 1)]
        rows = [
            json.loads(v) for k, v in zip(columns.keys, columns.values, strict=True) if k == symbol.encode()
        ]
        assert [row["t"] for row in rows] == [0, 1, 2]
        assert {row["k2_conn"] for row in rows} == {"binance-1"}
        assert columns.timestamps[0] == NOW // 1000
    sequences = sorted(json.loads(v)["k2_seq"] for c in batch.columns.values() for v in c.values)
    assert sequences == list(range(6))
    assert not batches.take()


def test_a_parser_that_fails_costs_one_frame():
    def parse(data):
        raise RuntimeError("boom")

    batches = batcher(parse=parse)
    batches.add(Connection("binance-1"), NOW, b"odd")
    batch = batches.take()
    assert batch.causes == ["parser failed: RuntimeError: boom"]
    letter = json.loads(batch.columns[topics.DLQ, 0].values[0])
    assert base64.b64decode(letter["original"]) == b"odd"
    assert (letter["stage"], letter["exchange"], letter["connection"]) == ("ingest", "binance", "binance-1")
    assert letter["time"] == NOW


def test_a_large_original_is_cut_to_fit_a_record():
    batches = batcher(parse=lambda data: Frame(Kind.REJECTED, rejects=(Reject("no JSON", data),)))
    batches.add(Connection("binance-1"), NOW, b"x" * 10_000_000)
    (value,) = batches.take().columns[topics.DLQ, 0].values
    assert len(value) <= topics.MAX_BYTES
    letter = json.loads(value)
    assert letter["cause"] == f"no JSON (first {MAX_ORIGINAL} of 10000000 bytes kept)"
    assert len(base64.b64decode(letter["original"])) == MAX_ORIGINAL


@pytest.mark.parametrize("size", [topics.MAX_RAW_BYTES, 899_980, 2_000_000])
def test_a_trade_too_large_for_a_record_is_dead_lettered(size):
    """One of 899,980 bytes passed, made a batch above the producer's limit, and ended ingest."""
    body = b'{"s":"BTCUSDT","x":"%s"}' % (b"y" * size)
    batches = batcher(parse=lambda data: Frame(Kind.TRADES, (RawTrade("BTCUSDT", body),)))
    batches.add(Connection("binance-1"), NOW, b"")
    batch = batches.take()
    assert batch.trades == 0
    assert set(batch.columns) == {(topics.DLQ, 0)}
    assert max(map(len, batch.columns[topics.DLQ, 0].values)) <= topics.MAX_BYTES


def test_a_cause_as_long_as_its_frame_makes_no_letter_too_large():
    def parse(data):
        raise RuntimeError("\0" * 2_000_000)

    batches = batcher(parse=parse)
    batches.add(Connection("binance-1"), NOW, b"x" * 2_000_000)
    (value,) = batches.take().columns[topics.DLQ, 0].values
    assert len(value) <= topics.MAX_BYTES
    assert "bytes kept" in json.loads(value)["cause"]


@pytest.mark.parametrize(
    ("sequences", "lost"),
    [
        ([0, 1, 2], []),
        ([5, 6, 9], [2]),
        ([1, 3, 3, 4, 7], [1, 2]),
        ([None, None], []),
        ([4, 0, 1], []),
        ([4, 5, 7, 6, 8], []),
        ([1, 5, 3], [1, 1]),
    ],
)
def test_a_frame_that_does_not_come_in_time_is_a_loss(sequences, lost):
    frames = iter([Frame(Kind.CONTROL, sequence=number) for number in (*sequences, sequences[0])])
    batches = batcher("coinbase", parse=lambda data: next(frames))
    link = Connection("coinbase-1")
    for _ in sequences:
        batches.add(link, NOW, b"")
    assert not batches.take().columns
    batches.add(link, NOW + REORDER_US, b"")
    columns = batches.take().columns.get((topics.FEED_EVENTS, 0))
    events = [json.loads(value) for value in columns.values] if columns else []
    assert [event["count"] for event in events] == lost
    assert all(event["kind"] == "lost_frames" and event["simulated"] for event in events)
    assert all(event["since"] == event["time"] == NOW for event in events)


def test_counters_of_connections_are_apart():
    frames = iter([Frame(Kind.CONTROL, sequence=number) for number in (7, 0, 8)])
    batches = batcher("coinbase", parse=lambda data: next(frames))
    first, second = Connection("coinbase-1"), Connection("coinbase-2")
    for link in (first, second, first):
        batches.add(link, NOW, b"")
    assert not batches.take().columns


def test_an_error_frame_is_an_event_and_no_dead_letter():
    batches = batcher("kraken")
    batches.add(Connection("kraken-1"), NOW, b'{"event":"error","errorMessage":"Malformed request"}')
    batch = batches.take()
    assert batch.errors == ["Malformed request"]
    (event,) = map(json.loads, batch.columns[topics.FEED_EVENTS, 0].values)
    assert (event["kind"], event["detail"]) == ("exchange_error", "Malformed request")
    assert (topics.DLQ, 0) not in batch.columns


def test_a_trade_that_waited_unread_says_since_when():
    batches = batcher()
    batches.add(Connection("binance-1"), NOW, binance("BTCUSDT", 1))
    batches.add(Connection("binance-1"), NOW, binance("BTCUSDT", 2), NOW - 5)
    (columns,) = batches.take().columns.values()
    assert [json.loads(value).get("k2_unread") for value in columns.values] == [None, NOW - 5]
    records, bad = raw.decode(exchanges.get("binance"), columns.values)
    assert not bad and [record.k2_unread for record in records] == [0, NOW - 5]


def test_a_symbol_that_was_asked_for_again_is_another_source_from_then_on():
    """What an exchange without ids sends once more with a subscription is told from what it sends twice."""
    link = Connection("kraken-1", Subscriptions(["XBT/USD", "ETH/USD"]))
    first = Request("", ("XBT/USD", "ETH/USD"))
    link.subscriptions.ask(first)
    link.subscriptions.answer(Answer(Subscription.CONFIRMED, first.symbols), "", 1)
    assert {link.source(symbol) for symbol in first.symbols} == {"kraken-1"}
    link.subscriptions.answer(Answer(Subscription.WITHDRAWN, ("XBT/USD",)), "", 2)
    link.subscriptions.ask(Request("", ("XBT/USD",)))
    assert [link.source(symbol) for symbol in first.symbols] == ["kraken-1.1", "kraken-1"]
