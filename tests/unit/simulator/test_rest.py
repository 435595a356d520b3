"""The simulated exchanges' REST interfaces, asked and read as the real ones are."""

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from k2stream import exchanges, instruments
from k2stream.commands.simulate import _announcement, _urls
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import HistoryError, refusal
from k2stream.settings import Settings
from k2stream.simulator import Options, Simulator, protocols
from k2stream.simulator.faults import Fault, FaultKind
from k2stream.simulator.rest import past

INSTRUMENTS = instruments.load(Settings().feeds.instruments_file)


@pytest.fixture
async def simulate(tmp_path):
    """A factory: a simulator that has traded and stopped, and what happened, by (exchange, symbol)."""
    async with AsyncExitStack() as stack:

        async def start(trades=1500, faults=()):
            record = tmp_path / "trades.jsonl"
            options = Options(rate=20_000, record=record)
            simulator = await stack.enter_async_context(Simulator(INSTRUMENTS, options))
            for fault in faults:
                simulator.inject(fault)
            async with asyncio.timeout(60):
                while any(  # noqa: ASYNC110
                    venue.counts.generated_trades < trades for venue in simulator.venues.values()
                ):
                    await asyncio.sleep(0.005)
            simulator.stop_trading()
            happened = defaultdict(list)
            for line in record.read_text().splitlines():
                trade = json.loads(line)
                happened[trade["exchange"], trade["symbol"]].append(trade)
            return simulator, happened

        yield start


def history_of(exchange: str) -> Any:
    """Its `RestHistory`: some ask by id, others by time."""
    return exchanges.get(exchange).history


async def ask(simulator, exchange, request):
    async with httpx.AsyncClient(base_url=simulator.rest_urls[exchange]) as client:
        answer = await client.get(request.path, params=dict(request.query))
    if answer.is_error:
        raise refusal(answer.status_code, answer.content)
    return history_of(exchange).parse(request, answer.content)


def said(exchange, page):
    """Trades as the record has them."""
    history = exchanges.get(exchange)
    records, bad = raw.decode(history, [raw.record(item.trade, 1, "c", 0) for item in page.trades])
    assert not bad
    columns = history.normalize(records)
    numbers = zip(map(Decimal, columns.price), map(Decimal, columns.quantity), columns.taker_buy, strict=True)
    return [(item.id, item.time, *rest) for item, rest in zip(page.trades, numbers, strict=True)]


def recorded(trades, precision=1):
    return [
        (
            trade["id"],
            trade["time_us"] // precision * precision,
            Decimal(trade["price"]),
            Decimal(trade["quantity"]),
            trade["taker_buy"],
        )
        for trade in trades
    ]


async def test_binance_and_coinbase_tell_what_happened_by_ids(simulate):
    simulator, happened = await simulate()
    for exchange, symbol, precision in (("binance", "BTCUSDT", 1000), ("coinbase", "BTC-USD", 1)):
        trades = happened[exchange, symbol]
        first = trades[3]["id"]
        page = await ask(simulator, exchange, history_of(exchange).by_id(symbol, "", first, first + 19))
        told = [row for row in said(exchange, page) if first <= row[0] <= first + 19]
        assert told == recorded(trades[3:23], precision)


async def test_binance_aggregates(simulate):
    simulator, happened = await simulate()
    by_id = history_of("binance").by_id
    page = await ask(simulator, "binance", by_id("BTCUSDT", "agg", 0, 999))
    trades = {trade["id"]: trade for trade in happened["binance", "BTCUSDT"]}
    numbers = [item.id for item in page.trades]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    covered = []
    for item in page.trades:
        body = json.loads(item.trade.body)
        parts = [trades[number] for number in range(body["f"], body["l"] + 1)]
        assert sum(Decimal(part["quantity"]) for part in parts) == Decimal(body["q"])
        covered += [part["id"] for part in parts]
    assert covered == list(trades)


async def test_kraken_tells_what_happened_after_a_time_with_more_digits(simulate):
    simulator, happened = await simulate(6000)
    by_time = history_of("kraken").by_time
    trades = happened["kraken", "XBT/USD"]
    start = trades[2]["time_us"] * 1000 - 1
    page = await ask(simulator, "kraken", by_time("XBT/USD", start))
    assert said("kraken", page)[:900] == recorded(trades[2:902])
    assert page.next // 1000 == page.trades[-1].time
    times = [json.loads(item.trade.body)["time"] for item in page.trades]
    assert any(len(time.partition(".")[2]) > 6 for time in times)
    rest = await ask(simulator, "kraken", by_time("XBT/USD", page.next))
    assert [item.id for item in (*page.trades, *rest.trades)][:1200] == [t["id"] for t in trades[2:]][:1200]


async def test_what_faults_made_of_a_trade_is_what_happened(simulate):
    faults = [
        Fault(exchange="coinbase", kind=kind, count=5) for kind in (FaultKind.OUT_OF_RANGE, FaultKind.DROP)
    ]
    simulator, happened = await simulate(faults=faults)
    for symbol in ("BTC-USD", "ETH-USD", "SOL-USD"):
        trades = happened["coinbase", symbol][:900]  # of an answer's 1000
        first, last = trades[0]["id"], trades[-1]["id"]
        page = await ask(simulator, "coinbase", history_of("coinbase").by_id(symbol, "", first, last))
        told = [row for row in said("coinbase", page) if first <= row[0] <= last]
        assert told == recorded(trades)


async def test_only_the_newest_are_kept(simulate, monkeypatch):
    monkeypatch.setattr(past, "MOST_TRADES", 300)
    simulator, happened = await simulate()
    kept = []
    for item in INSTRUMENTS.for_exchange("coinbase"):
        trades = happened["coinbase", item.symbol]
        request = history_of("coinbase").by_id(item.symbol, "", trades[0]["id"], trades[-1]["id"])
        ids = [past.id for past in (await ask(simulator, "coinbase", request)).trades]
        assert ids == [trade["id"] for trade in trades][len(trades) - len(ids) :]
        kept += ids
    assert 290 < len(kept) <= 300


@pytest.mark.parametrize("exchange", exchanges.REGISTRY)
async def test_an_unknown_symbol_is_refused_for_good(simulate, exchange):
    simulator, _ = await simulate(1)
    history = history_of(exchange)
    request = history.by_id("NOPE", "", 1, 2) if history.by_id else history.by_time("NOPE", 1)
    with pytest.raises(HistoryError) as error:
        await ask(simulator, exchange, request)
    assert error.value.final


@pytest.mark.parametrize("exchange", exchanges.REGISTRY)
async def test_too_many_requests_are_told_as_the_exchange_tells_it(simulate, exchange):
    simulator, _ = await simulate(1)
    history, symbol = history_of(exchange), INSTRUMENTS.for_exchange(exchange)[0].symbol
    request = history.by_id(symbol, "", 1, 2) if history.by_id else history.by_time(symbol, 1)
    async with httpx.AsyncClient(base_url=simulator.rest_urls[exchange]) as client:
        answers = [
            await client.get(request.path, params=dict(request.query))
            for _ in range(protocols.for_exchange(exchange).requests + 1)
        ]
    *fine, refused = answers
    assert {answer.status_code for answer in fine} == {200}
    assert int(refused.headers["Retry-After"]) >= 1
    if exchange == "kraken":
        assert (refused.status_code, refused.json()) == (200, {"error": ["EAPI:Rate limit exceeded"]})
    else:
        assert refused.status_code == 429


async def test_rest_fails_on_request_and_recovers(simulate):
    simulator, _ = await simulate(1)
    request = history_of("kraken").by_time("XBT/USD", 1)
    simulator.inject(Fault(exchange="kraken", kind=FaultKind.REST, seconds=60))
    with pytest.raises(HistoryError, match="HTTP 503"):
        await ask(simulator, "kraken", request)
    simulator.venues["kraken"].rest.disturb(Fault(exchange="kraken", kind=FaultKind.REST, seconds=0))
    await ask(simulator, "kraken", request)
    assert simulator.stats()["exchanges"]["kraken"]["faults"] == {"rest": 1}


async def test_the_urls_are_announced(simulate):
    simulator, _ = await simulate(1)
    told = json.loads(json.dumps(_urls(simulator)))
    assert told["rest"] == simulator.rest_urls and set(told["rest"]) == set(exchanges.REGISTRY)
    text = _announcement(simulator)
    assert f"K2_KRAKEN_REST_URL={simulator.rest_urls['kraken']}\n" in text
    async with connect(told["kraken"]):
        pass
