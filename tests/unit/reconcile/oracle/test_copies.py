"""Which records of a copy are read for a candle."""

from k2stream import topics
from k2stream.reconcile.oracle.copies import LOOKBACK_US, TradeSpanWanted, _joined
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
