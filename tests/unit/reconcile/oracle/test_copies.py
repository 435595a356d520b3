"""Which records of a copy are read for a candle."""

import json
import time

import pytest
from chdb.session import Session

from k2stream import topics
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.reconcile.oracle import clickhouse, copies
from k2stream.reconcile.oracle.copies import LOOKBACK_US, TradeSpanWanted, WantedRecords, _joined
from k2stream.reconcile.oracle.raw import Extent
from k2stream.settings import make

EXCHANGE = topics.EXCHANGES[0]
KAFKA = make(**{f"{EXCHANGE}_partitions": 4}).kafka
MOVED = next(name for name in map(str, range(99)) if topics.partitions_of(name, 4)[-2:] == [1, 3])
"""A symbol that went from partition 1 of two to partition 3 of four."""


def test_records_from_before_a_count_grew_are_in_a_lower_partition():
    since = 10**15
    found = _joined([TradeSpanWanted(EXCHANGE, MOVED, 3, since, 70)], KAFKA)
    assert found.keys() == {(EXCHANGE, number) for number in topics.partitions_of(MOVED, 4)}
    assert {place: span.own for place, span in found.items() if span.own} == {(EXCHANGE, 3): True}
    assert {(span.since, span.last) for span in found.values()} == {(since - LOOKBACK_US, 70)}


def test_a_candle_from_before_has_none_in_a_higher_one():
    found = _joined(
        [TradeSpanWanted(EXCHANGE, MOVED, 1, 0, 70), TradeSpanWanted(EXCHANGE, "x", 1, 5, 90)], KAFKA
    )
    assert (EXCHANGE, 3) not in found
    assert found[EXCHANGE, 1].symbols == {MOVED, "x"}
    assert (found[EXCHANGE, 1].last, found[EXCHANGE, 1].own) == (90, True)


def extent(**places):
    """`p2=(60, 90)`: partition 2 is known from offset 60 to 90."""
    found = Extent()
    for name, (first, end) in places.items():
        found.first[EXCHANGE, int(name[1:])], found.end[EXCHANGE, int(name[1:])] = first, end
    return found


def test_a_partition_that_begins_where_a_lower_one_was_is_not_cut():
    assert extent(p0=(0, 80), p1=(0, 50), p2=(60, 90), p3=(50, 50)).cuts() == []


def test_lost_records_are_a_cut():
    assert extent(p0=(0, 0), p1=(0, 50), p2=(60, 90), p3=(50, 90)).cuts() == [(EXCHANGE, 2)]
    assert extent(p0=(5, 80), p1=(0, 50), p2=(60, 90)).cuts() == [(EXCHANGE, 0), (EXCHANGE, 2)]
    assert extent(p0=(5, 80)).cuts() == [(EXCHANGE, 0)]


NOW = time.time_ns() // 1000
DAY_US = 86_400_000_000
PLACE = ("binance", 0)


class Server:
    """ClickHouse's tables in this process, in place of the client of a server."""

    def __init__(self):
        self.session = Session()
        self.session.query("CREATE DATABASE copies")
        for statement in statements((FOLDER / "002_bronze.sql").read_text(encoding="utf-8"), "copies"):
            self.session.query(statement)
        self.session.query("SYSTEM STOP MERGES")

    def execute(self, sql):
        return [tuple(row.values()) for row in self.session.query(sql, "ArrowTable").to_pylist()]

    def disconnect(self):
        pass

    def add(self, *offsets, received=NOW):
        for offset in offsets:
            self.session.query(
                f"""INSERT INTO copies.bronze_trades_binance (e, s, t, p, q, T, m, receive_time, connection,
                    sequence, raw_partition, raw_offset)
                SELECT 'trade', 'BTCUSDT', {offset}, '1.5', '2', {NOW // 1000}, true,
                    fromUnixTimestamp64Micro({received}), 'c', {offset}, 0, {offset}"""
            )


@pytest.fixture
def server(monkeypatch):
    made = Server()
    monkeypatch.setattr(clickhouse, "connect", lambda settings: made)
    yield made
    made.session.query("DROP DATABASE copies")
    made.session.close()


async def held(last, since=NOW - DAY_US, own=True):
    wanted = {PLACE: WantedRecords(since, last, frozenset(["BTCUSDT"]), own)}
    found = await copies._from_clickhouse(make(clickhouse_database="copies"), wanted)
    return found and [(offset, json.loads(body or "")["t"]) for offset, body in found[PLACE]]


async def test_a_row_of_clickhouse_that_came_again_is_there_once(server):
    """A sink that was killed before it wrote its position inserts rows again, which collapse later."""
    server.add(3, 4, 5, 4, 6)
    assert await held(5) == [(3, 3), (4, 4), (5, 5)]


async def test_clickhouse_that_does_not_have_all_any_more_is_no_copy(server):
    assert await held(5) is None
    server.add(3, 4)
    assert await held(5) is None  # its sink is behind
    server.add(5)
    assert await held(5) == [(3, 3), (4, 4), (5, 5)]
    assert await held(5, NOW - 8 * DAY_US) is None
    assert await held(9, own=False) == [(3, 3), (4, 4), (5, 5)]  # before a count grew; there may be none
