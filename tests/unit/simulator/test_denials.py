"""What the simulated exchanges withhold when they are asked to, and that the feed gets over it."""

import pytest

from k2stream import topics
from k2stream.simulator.faults import FaultKind

NO = {
    "binance": "Invalid request: SOLUSDT is refused",
    "kraken": "SOL/USD Exceeded msg rate",
    "coinbase": "Failed to subscribe SOL-USD is refused",
}
TOO_MANY = {
    "binance": "3 Too many requests",
    "kraken": "Exceeded msg rate",
    "coinbase": "Failed to subscribe rate limit exceeded",
}
SOL = {"binance": "SOLUSDT", "kraken": "SOL/USD", "coinbase": "SOL-USD"}
EXCHANGES = tuple(SOL)


async def reconnected(made):
    """Cut the connection, so that what was asked for is seen at the next subscription."""
    made.inject(FaultKind.ABORT)
    await made.until(lambda: made.feed.status.reconnects)


def told(made, kind):
    return [(e.get("symbol", ""), e["detail"]) for e in made.records(topics.FEED_EVENTS) if e["kind"] == kind]


def noted(made, kind):
    return [entry for entry in made.venue.faults.log if entry["fault"] == kind]


async def up_again(made):
    await made.until(lambda: made.feed.status.connected)
    symbol = SOL[made.exchange]
    before = sum(record.key == symbol.encode() for record in made.raw)
    await made.until(lambda: sum(record.key == symbol.encode() for record in made.raw) > before)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_symbol_is_refused(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.REFUSE_SYMBOL, symbol=SOL[exchange], count=2)
    await reconnected(made)
    await made.until(lambda: told(made, "refused"))
    await up_again(made)
    assert all(detail.endswith(NO[exchange]) for _, detail in told(made, "refused"))
    assert SOL[exchange] in [symbol for symbol, _ in told(made, "refused")]
    assert (
        noted(made, "refuse_symbol")
        == [{"exchange": exchange, "fault": "refuse_symbol", "symbol": SOL[exchange]}] * 2
    )
    assert made.feed.status.reconnects == 1


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_requests_are_too_many(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.RATE)
    await reconnected(made)
    await made.until(lambda: noted(made, "rate"))
    await up_again(made)
    assert {detail for _, detail in told(made, "refused")} == {TOO_MANY[exchange]}
    assert made.feed.status.unknown == 0


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_symbol_is_left_out(bench, exchange, monkeypatch):
    monkeypatch.setattr("k2stream.feed.asking.ANSWER_SECONDS", 0.3)
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.LEAVE_OUT, symbol=SOL[exchange])
    await reconnected(made)
    await made.until(lambda: noted(made, "leave_out"))
    await up_again(made)
    assert [symbol for symbol, _ in told(made, "refused")] == (
        [] if exchange == "binance" else [SOL[exchange]]
    )


@pytest.mark.parametrize("exchange", ["kraken", "coinbase"])
async def test_a_symbol_is_taken_away(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.TAKE_AWAY, symbol=SOL[exchange])
    await made.until(lambda: told(made, "withdrawn"))
    await up_again(made)
    assert [symbol for symbol, _ in told(made, "withdrawn")] == [SOL[exchange]]
    await made.until(lambda: told_again(made) == [SOL[exchange]])
    assert made.feed.status.reconnects == 0


def told_again(made):
    return [e["symbol"] for e in made.records(topics.FEED_EVENTS) if e["kind"] == "subscribed"]


async def test_binance_takes_nothing_away(bench):
    made = await bench("binance")
    await made.connected()
    made.inject(FaultKind.TAKE_AWAY, symbol=SOL["binance"])
    assert not noted(made, "take_away")
    await up_again(made)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_shutdown_ends_connections(bench, exchange):
    made = await bench(exchange)
    await made.connected()
    made.inject(FaultKind.SHUTDOWN, seconds=0.2)
    await made.until(lambda: told(made, "disconnected"))
    await up_again(made)
    ((_, detail),) = told(made, "disconnected")
    assert ("as expected" in detail) == (exchange == "binance")


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_messages_change_places(bench, exchange):
    made = await bench(exchange, rate=2000)
    await made.connected()
    made.inject(FaultKind.SWAP, count=3)
    await made.until(lambda: made.venue.faults.done[FaultKind.SWAP] == 3 and not made.venue.faults.delayed)
    await made.drained()
    counts = made.venue.counts
    assert len(made.raw) == counts.sent_trades + counts.snapshot_trades
    assert made.events["lost_frames"] == 0
