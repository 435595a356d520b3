"""Candles made of an exchange's frames are compared with the klines that its REST server has."""

import asyncio
from dataclasses import replace

import pytest

from k2stream import metrics
from k2stream.agreement import worker
from k2stream.agreement.compare import NO_KLINE, PARTIAL
from k2stream.exchanges import BUILT_IN, REGISTRY
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.kline_checks import Agreement
from k2stream.simulator.faults import Fault, FaultKind
from k2stream.simulator.rest.klines import MISSING, WRONG
from tests.unit.agreement.kit import SimulatedPast, Watched

ON = sorted(REGISTRY)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(worker, "TICK_SECONDS", 0.001)


async def compared(watched, candles=None):
    """Let the monitor compare the candles, until none waits."""
    taken = watched.past.candles() if candles is None else candles
    await watched.monitor.take(0, [(candle, 0) for candle in taken])
    running = asyncio.create_task(watched.monitor.run(watched.past.exchange))
    async with asyncio.timeout(60):
        while len(watched.waiting) and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return taken


def place(check):
    return check.symbol, check.timeframe, check.open_time


@pytest.mark.parametrize("name", ON)
async def test_every_candle_agrees_from_the_first_whole_window_on(name):
    past = SimulatedPast(name)
    async with past.serving() as server:
        watched = Watched(past, server.url)
        candles = await compared(watched)
    assert len(watched.checks) == len(candles)
    assert not watched.with_status(Agreement.DIFFERENT)
    equal = [check.timeframe for check in watched.with_status(Agreement.EQUAL)]
    assert (equal.count("1m"), equal.count("5m")) == (2 * 11, 2 * 2)
    begins = past.orders[0].time_us // 1000
    partial = {place(candle) for candle in candles if candle.open_time <= begins}
    assert {place(check) for check in watched.with_status(Agreement.NOT_COMPARABLE)} == partial
    assert {check.reason for check in watched.with_status(Agreement.NOT_COMPARABLE)} == {PARTIAL}
    assert server.requests == len({(candle.symbol, candle.timeframe) for candle in candles})


@pytest.mark.parametrize("name", ON)
async def test_every_wrong_kline_is_found_and_nothing_else(name):
    past = SimulatedPast(name)
    past.klines.disturb(WRONG, "", 9)
    past.klines.disturb(MISSING, past.listed[1].symbol, 3)
    async with past.serving() as server:
        watched = Watched(past, server.url)
        await compared(watched)
    minutes = {name: length // 60_000 for name, length in TIMEFRAMES.items()}
    told = {
        kind: {
            (entry["symbol"], entry["minutes"], entry["open_time"]): entry["field"]
            for entry in past.log
            if entry["kind"] == kind
        }
        for kind in (WRONG, MISSING)
    }
    found = {
        (check.symbol, minutes[check.timeframe], check.open_time): check
        for check in watched.with_status(Agreement.DIFFERENT)
    }
    assert {at: check.fields for at, check in found.items()} == {
        at: (field,) for at, field in told[WRONG].items()
    }
    assert len(found) == 9 and all(check.ours != check.theirs for check in found.values())
    missed = [check for check in watched.with_status(Agreement.NOT_COMPARABLE) if check.reason == NO_KLINE]
    assert {(check.symbol, minutes[check.timeframe], check.open_time) for check in missed} == set(
        told[MISSING]
    )


@pytest.mark.parametrize("name", ON)
@pytest.mark.parametrize("kind", [FaultKind.REST, FaultKind.TOO_MANY, FaultKind.SLOW])
async def test_an_exchange_that_does_not_answer_is_asked_again(name, kind):
    past = SimulatedPast(name, minutes=3, symbols=1)
    before, candles = metrics.KLINE_REQUEST_FAILURES.labels(name)._value.get(), past.candles()
    async with past.serving() as server:
        server.disturb(Fault(exchange=name, kind=kind, seconds=2))
        watched = Watched(past, server.url)
        await compared(watched, candles)
    failed = metrics.KLINE_REQUEST_FAILURES.labels(name)._value.get() - before
    assert (failed > 0) is (kind is not FaultKind.SLOW)
    assert {check.timeframe for check in watched.with_status(Agreement.EQUAL)} == {"1m"}
    assert not watched.with_status(Agreement.DIFFERENT)


async def test_what_is_refused_for_good_is_not_comparable():
    past = SimulatedPast("binance", minutes=3, symbols=1)
    async with past.serving() as server:
        watched = Watched(past, server.url)
        await compared(watched, [candle._replace(symbol="NOSUCH") for candle in past.candles()])
    assert {check.reason for check in watched.checks} == {"refused: HTTP 400: Invalid symbol."}


async def test_an_exchange_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(worker, "MOST_FAILED", 3)
    past = SimulatedPast("kraken", minutes=2, symbols=1)
    async with past.serving() as server:
        server.disturb(Fault(exchange="kraken", kind=FaultKind.REST, seconds=60))
        watched = Watched(past, server.url)
        await compared(watched)
    assert {check.reason for check in watched.checks} == {"no answer: HTTP 503: simulated: no answers"}


async def test_what_is_beyond_the_limit_is_counted_and_newer_revisions_take_the_place_of_older_ones():
    past = SimulatedPast("binance", minutes=8, symbols=1)
    candles = [candle for candle in past.candles() if candle.timeframe == "1m"][2:]
    async with past.serving() as server:
        watched = Watched(past, server.url, agreement_max_pending=3)
        older = [candle._replace(revision=1, volume=candle.volume + 1) for candle in candles[:3]]
        await watched.monitor.take(0, [(candle, 0) for candle in older])
        await compared(watched, candles)
    assert [check.status for check in watched.checks].count(Agreement.EQUAL) == 3
    assert not watched.with_status(Agreement.DIFFERENT)
    given_up = watched.with_status(Agreement.NOT_COMPARABLE)
    assert len(given_up) == len(candles) - 3
    assert {check.reason for check in given_up} == {"budget: too many candles wait"}


async def test_a_partition_that_is_lost_during_a_request_is_its_new_owners():
    past = SimulatedPast("coinbase", minutes=4, symbols=1)
    async with past.serving() as server:
        server.disturb(Fault(exchange="coinbase", kind=FaultKind.SLOW, seconds=0.3))
        watched = Watched(past, server.url)
        await watched.monitor.take(0, [(candle, 0) for candle in past.candles()])
        running = asyncio.create_task(watched.monitor.run(past.exchange))
        async with asyncio.timeout(60):
            while not server.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            watched.waiting.items.clear()
            while server._slow:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while metrics.KLINE_CHECKS_PENDING.labels("coinbase")._value.get():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not watched.checks


@pytest.mark.parametrize(
    ("change", "url", "why"),
    [
        (lambda exchange: replace(exchange, klines=None), "http://127.0.0.1:1", "no klines"),
        (lambda exchange: exchange, "", "K2_KRAKEN_KLINES_URL is not set"),
        (
            lambda exchange: replace(exchange, klines=replace(exchange.klines, timeframes={})),
            "http://127.0.0.1:1",
            "no klines of 1m",
        ),
        (
            lambda exchange: replace(exchange, klines=replace(exchange.klines, newest=1)),
            "http://127.0.0.1:1",
            "the newest 1 klines only",
        ),
    ],
)
async def test_what_no_request_can_bring_is_not_comparable_and_says_why(change, url, why):
    past = SimulatedPast("kraken", minutes=3, symbols=1)
    watched = Watched(past, url or BUILT_IN["kraken"].rest_url)
    await watched.monitor.take(0, [(past.candles()[0], 0)])
    running = asyncio.create_task(watched.monitor.run(change(past.exchange)))
    async with asyncio.timeout(60):
        while not watched.checks:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (check,) = watched.checks
    assert check.status is Agreement.NOT_COMPARABLE and why in check.reason
