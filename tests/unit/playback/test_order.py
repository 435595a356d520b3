"""Where recorded trades that were fetched later are sent."""

from k2stream.playback.order import AHEAD_US, Ahead, Placed, body
from k2stream.playback.reading import merged
from k2stream.simulator.relayed import Recorded


def item(number, received, symbol="A", fetched=False):
    return Placed(Recorded(symbol, b"%d" % number, received), (number, 0), fetched)


def sent(items, *, ended=True):
    ahead = Ahead()
    for each in items:
        ahead.add(each)
    return [(trade.body, trade.received) for trade in ahead.ready(ended=ended)]


def test_a_fetched_trade_is_sent_before_the_first_that_follows_it():
    items = [item(1, 10), item(9, 11, "B"), item(4, 20), item(5, 30), item(2, 90, fetched=True)]
    items.append(item(3, 90, fetched=True))
    assert sent(items) == [(b"1", 10), (b"9", 11), (b"2", 20), (b"3", 20), (b"4", 20), (b"5", 30)]


def test_one_that_is_fetched_too_late_keeps_its_place():
    ahead = Ahead()
    for each in (item(1, 0), item(3, 1), item(4, AHEAD_US + 2)):
        ahead.add(each)
    assert [trade.body for trade in ahead.ready()] == [b"1", b"3"]
    ahead.add(item(2, AHEAD_US + 3, fetched=True))
    assert [trade.body for trade in ahead.ready(ended=True)] == [b"2", b"4"]


def test_receive_times_never_fall():
    assert sent([item(1, 10), item(2, 8), item(3, 12)]) == [(b"1", 10), (b"2", 10), (b"3", 12)]


def test_only_what_no_fetched_trade_can_precede_is_ready():
    assert sent([item(1, 0), item(2, AHEAD_US)], ended=False) == [(b"1", 0)]


def test_the_body_is_what_the_exchange_sent():
    assert body(b'{"a":"1","k2_recv":5,"k2_conn":"c","k2_seq":0,"k2_backfilled":true}') == b'{"a":"1"}'


async def test_partitions_are_merged_by_receive_time():
    async def source(*times):
        for time in times:
            yield Recorded("A", b"", time)

    found = [trade.received async for trade in merged([source(1, 4, 5), source(), source(2, 3, 9)])]
    assert found == [1, 2, 3, 4, 5, 9]
