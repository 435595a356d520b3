"""What putting a letter back means, by stage and exchange."""

import json
from typing import Any

import pytest

from k2stream import deadletter, exchanges, topics
from k2stream.deadletter import DeadLetter
from k2stream.dlq.plan import Refused, Row, keyed, plan
from k2stream.exchanges import raw
from k2stream.settings import Settings, make

SETTINGS = Settings()
NOW = 1_700_000_000_000_000

BINANCE = b'{"e":"trade","E":1,"s":"BTCUSDT","t":7,"p":"zero","q":"1","T":1700000000000,"m":true,"M":true}'
RECORD = BINANCE[:-1] + b',"k2_recv":1700000000000000,"k2_conn":"c","k2_seq":3}'
KRAKEN = (
    b'[337,[["1.5","2","1700000000.1","b","l",""],["1.6","2","1700000000.2","s","l",""]],"trade","XBT/USD"]'
)


def letter(original, **fields):
    cause, kept = deadletter.shortened("bad", original)
    given: dict[str, Any] = {"exchange": "binance", "stage": "ingest", "time": NOW, "connection": "conn-1"}
    return DeadLetter(cause=cause, original=kept, **{**given, **fields})


def rejected(original, **fields):
    place = {"stage": "normalize", "topic": topics.raw("binance"), "partition": 1, "offset": 40}
    return letter(original, **place | fields)


def test_a_raw_record_goes_back_as_it_is_to_its_partition():
    found = plan(rejected(RECORD), SETTINGS.kafka)
    assert found.topic == topics.raw("binance")
    assert found.rows == ((1, b"BTCUSDT", RECORD),)


def test_a_raw_record_goes_where_its_symbol_is_since_a_count_has_grown():
    grown = make(binance_partitions=4).kafka
    symbol = next(name for name in map(str, range(99)) if topics.partition_of(name, 4) >= 2)
    now, before = (topics.partition_of(symbol, count) for count in (4, 2))
    row = Row(before, b"", RECORD)
    assert keyed(row, symbol.encode(), 4) == Row(now, symbol.encode(), RECORD)
    strange = next(number for number in range(4) if number not in topics.partitions_of(symbol, 4))
    assert keyed(row._replace(partition=strange), symbol.encode(), 4).partition == strange
    (row,) = plan(rejected(RECORD, partition=topics.partition_of("BTCUSDT", 1)), grown).rows
    assert row.partition == topics.partition_of("BTCUSDT", 4)


def test_the_key_of_an_unreadable_record_is_left_to_the_raw_topic():
    (row,) = plan(rejected(RECORD[:-3]), SETTINGS.kafka).rows
    assert (row.key, row.value) == (b"", RECORD[:-3])


def test_a_frame_becomes_the_raw_records_of_its_trades():
    found = plan(letter(KRAKEN, exchange="kraken"), SETTINGS.kafka)
    assert found.topic == topics.raw("kraken")
    partition = topics.partition_of("XBT/USD", SETTINGS.kafka.raw_partitions("kraken"))
    assert {(row.partition, row.key) for row in found.rows} == {(partition, b"XBT/USD")}
    records, bad = raw.decode(exchanges.get("kraken"), [row.value for row in found.rows])
    assert not bad
    assert [(r.k2_recv, r.k2_conn, r.k2_seq) for r in records] == [(NOW, "conn-1", 0), (NOW, "conn-1", 1)]


def test_trades_of_a_frame_that_are_still_bad_are_told():
    frame = json.loads(KRAKEN)
    frame[1].append(["1.7"])
    found = plan(letter(json.dumps(frame).encode(), exchange="kraken"), SETTINGS.kafka)
    assert (len(found.rows), len(found.rejects)) == (2, 1)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (rejected(RECORD, stage="candles", topic=topics.NORMALIZED), "stage candles"),
        (rejected(RECORD, topic="elsewhere"), "read from elsewhere"),
        (rejected(b"x" * (deadletter.MAX_ORIGINAL + 1)), "only a part"),
        (letter(b"\xffgarbage"), "still finds no trade"),
        (letter(KRAKEN, exchange="bitmex"), "unknown exchange"),
        (letter(b'["1.5","2"]', exchange="kraken"), "frame that had several, `k2 backfill` fetches it"),
        (letter(BINANCE, connection="binance-rest-00c0ffee"), "a row that REST returned"),
    ],
)
def test_what_cannot_go_back_is_refused_with_its_reason(given, reason):
    with pytest.raises(Refused, match=reason):
        plan(given, SETTINGS.kafka)
