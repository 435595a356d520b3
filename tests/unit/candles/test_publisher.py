"""What is published when: finals at once, revisions coalesced, nothing held after a drain."""

import asyncio
import itertools
from decimal import Decimal

import pytest

from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.avro.candles import decode
from k2stream.candles.publisher import CandlePublisher
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.trade import TRADE_DIGITS
from tests.unit.candles.reference import Trade
from tests.unit.candles.stores import Worker

KEY = "binance:BTC/USDT"
T0 = 1_700_006_400_000_000


@pytest.fixture(autouse=True)
def schema():
    registry.learn(7, wire.declared("candle"))


class Outlet:
    """A publisher, its clock and what it sent; sending waits for `gate`."""

    def __init__(self):
        self.now = 100.0
        self.sent = []
        self.gate = asyncio.Event()
        self.gate.set()
        ids = dict.fromkeys(TIMEFRAMES, 7)
        self.publisher = CandlePublisher(self.send, ids, lambda key: "BTCUSDT", 0.1, lambda: self.now)

    async def send(self, topic, partition, keys, values):
        await self.gate.wait()
        self.sent.append((topic, partition, list(keys), list(values)))

    def candles(self, timeframe="1m"):
        return [
            candle
            for topic, *_, values in self.sent
            if topic == topics.ohlcv(timeframe)
            for candle in decode(values)
        ]


def updated(worker, offset, time):
    trade = Trade(KEY, time, 0, offset, Decimal("2.5"), Decimal(1), True, 1, time + 5000)
    return worker.apply([trade]).updated


async def test_the_first_revision_leaves_at_once_and_the_next_after_the_interval():
    outlet, worker = Outlet(), Worker()
    for offset in range(3):
        outlet.publisher.hold(2, updated(worker, offset, T0 + offset))
        await outlet.publisher.publish()
    assert [c.revision for c in outlet.candles()] == [1]
    outlet.now += 0.125
    await outlet.publisher.publish()
    await outlet.publisher.publish()
    assert [c.revision for c in outlet.candles()] == [1, 3]
    topic, partition, keys, _ = outlet.sent[0]
    assert (topic, partition, keys) == (topics.ohlcv("1m"), 2, [KEY.encode()])


async def test_whoever_publishes_when_it_is_due_lets_no_revision_wait_for_longer_than_the_interval():
    outlet, worker = Outlet(), Worker()
    assert outlet.publisher.due_in() == 0.1
    outlet.publisher.hold(2, updated(worker, 0, T0))
    await outlet.publisher.publish()
    outlet.now += 0.0625  # a timer that wakes between two revisions, too early for the second
    outlet.publisher.hold(2, updated(worker, 1, T0 + 1))
    await outlet.publisher.publish()
    assert [c.revision for c in outlet.candles()] == [1]
    assert outlet.publisher.due_in() == pytest.approx(0.0375)
    outlet.now += outlet.publisher.due_in()
    await outlet.publisher.publish()
    assert [c.revision for c in outlet.candles()] == [1, 2]


async def test_a_final_candle_does_not_wait_and_replaces_its_revision():
    outlet, worker = Outlet(), Worker()
    outlet.publisher.hold(0, updated(worker, 0, T0))
    await outlet.publisher.publish()
    outlet.publisher.hold(0, updated(worker, 1, T0 + 1))
    outlet.publisher.hold(0, updated(worker, 2, T0 + 70_000_000))
    await outlet.publisher.publish()
    assert [(c.revision, c.final) for c in outlet.candles()] == [(1, False), (3, True)]
    await outlet.publisher.drain()
    assert [c.revision for c in outlet.candles("5m")] == [3]


async def test_revisions_of_longer_candles_leave_with_a_drain_and_their_finals_at_once():
    outlet, worker = Outlet(), Worker()
    for offset in range(3):
        outlet.publisher.hold(0, updated(worker, offset, T0 + offset))
        outlet.now += 1
        await outlet.publisher.publish()
    assert [c.revision for c in outlet.candles("5m")] == []
    await outlet.publisher.drain()
    assert [c.revision for c in outlet.candles("5m")] == [3]
    outlet.publisher.hold(0, updated(worker, 3, T0 + 310_000_000))
    await outlet.publisher.publish()
    assert [(c.revision, c.final) for c in outlet.candles("5m")] == [(3, False), (4, True)]


async def test_drain_waits_for_what_is_being_sent_and_for_what_comes_meanwhile():
    outlet, worker = Outlet(), Worker()
    outlet.publisher.hold(0, updated(worker, 0, T0))
    outlet.gate.clear()
    sending = asyncio.create_task(outlet.publisher.publish())
    draining = asyncio.create_task(outlet.publisher.drain())
    await asyncio.sleep(0)
    outlet.publisher.hold(0, updated(worker, 1, T0 + 1))
    await asyncio.sleep(0)
    assert not draining.done()
    outlet.gate.set()
    await draining
    assert sending.done()
    assert [c.revision for c in outlet.candles()][-1] == 2


@pytest.mark.parametrize("passes", [0, 1])
async def test_a_drain_ends_while_more_is_folded_all_the_time(passes):
    """Sends wait for the batch before them; the agent has its next delivery by then."""
    outlet, worker = Outlet(), Worker()

    async def send(topic, partition, keys, values):
        await asyncio.sleep(0.001)

    outlet.publisher._send = send

    async def fold():
        for offset in itertools.count():
            outlet.publisher.hold(0, updated(worker, offset, T0 + offset))
            outlet.now += passes
            await outlet.publisher.publish()
            await asyncio.sleep(0)

    folding = asyncio.create_task(fold())
    await asyncio.sleep(0.01)
    async with asyncio.timeout(60):
        await outlet.publisher.drain()
    assert not outlet.publisher._pending
    folding.cancel()


async def test_late_trades_leave_at_once_as_they_came():
    outlet = Outlet()
    outlet.publisher.hold_record(topics.LATE, b"k", b"original")
    await outlet.publisher.publish()
    assert outlet.sent == [(topics.LATE, 0, [b"k"], [b"original"])]


async def test_sums_of_the_largest_trades_fit_every_candle():
    largest = Decimal(10**TRADE_DIGITS - 1)
    outlet, worker = Outlet(), Worker()
    trades = [Trade(KEY, T0 + 60_000_000 * n, 0, n, Decimal(1), largest, True, 1, T0) for n in range(43)]
    outlet.publisher.hold(0, worker.apply([t._replace(receive_time=t.timestamp) for t in trades]).updated)
    await outlet.publisher.drain()
    (day,) = outlet.candles("1d")
    assert (day.volume, day.quote_volume, day.trade_count) == (43 * largest, 43 * largest, 43)


async def test_what_is_held_of_a_lost_partition_is_forgotten():
    outlet, worker = Outlet(), Worker()
    outlet.publisher.hold(0, updated(worker, 0, T0))
    outlet.publisher.forget(frozenset({1}))
    await outlet.publisher.drain()
    assert outlet.sent == []


async def test_a_candle_too_large_for_avro_does_not_hold_up_the_others(caplog):
    outlet, worker = Outlet(), Worker()
    huge = Decimal(10) ** 19
    worker.apply([Trade(KEY, T0, 0, 0, huge, huge, True, 1, T0)])
    outlet.publisher.hold(0, worker.apply([Trade(KEY, T0 + 1, 0, 1, huge, huge, True, 1, T0)]).updated)
    other = Trade("kraken:BTC/USD", T0, 0, 0, Decimal(1), Decimal(1), True, 1, T0)
    outlet.publisher.hold(0, worker.apply([other]).updated)
    await outlet.publisher.publish()
    assert [c.exchange for c in outlet.candles()] == ["kraken"]
    assert "binance:BTC/USDT 1m" in caplog.text
