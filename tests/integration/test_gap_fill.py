"""Frames that were dropped and connections that were cut, on all exchanges: nothing is missing in the end."""

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from decimal import Decimal

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from k2stream import decimals, instruments, topics
from k2stream.avro import registry, trades
from k2stream.backfill.filler import group
from k2stream.events import EventKind, FeedEvent
from k2stream.kafka import ensure_topics
from k2stream.local.simulate import Options, Simulator
from k2stream.local.simulate.faults import Fault, Kind
from k2stream.settings import environment
from tests.integration.partitions import settings_on

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

# Symbols of no other test: what is missing is told by the ids that came before.
LISTED = """
binance:
  - {symbol: GAPAUSDT, canonical: GAPA/USDT}
  - {symbol: GAPBUSDT, canonical: GAPB/USDT, stream: aggTrade}
kraken:
  - {symbol: GAPA/USD, canonical: GAPA/USD}
  - {symbol: GAPB/USD, canonical: GAPB/USD}
coinbase:
  - {symbol: GAPA-USD, canonical: GAPA/USD}
  - {symbol: GAPB-USD, canonical: GAPB/USD}
"""
AGGREGATED = "GAPBUSDT"
RATE, DROPPED, OUTAGE_SECONDS = 150, 3, 1.0


async def until(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="session")
async def simulator(tmp_path):
    (tmp_path / "instruments.yaml").write_text(LISTED)
    listed = instruments.load(tmp_path / "instruments.yaml")
    async with Simulator(listed, Options(rate=RATE, record=tmp_path / "trades.jsonl")) as simulator:
        yield simulator


@pytest_asyncio.fixture(loop_scope="session")
async def workers(running_stack, simulator, tmp_path):
    """Settings of running workers: an ingest an exchange, and normalize."""
    settings = settings_on(
        running_stack.endpoints,
        tmp_path,
        instruments_file=str(tmp_path / "instruments.yaml"),
        reconnect_base_seconds=0.05,
        reconnect_cap_seconds=0.2,
        gap_fill_margin_seconds=1.0,
        **{f"{name}_ws_url": url for name, url in simulator.urls.items()},
        **{f"{name}_rest_url": url for name, url in simulator.rest_urls.items()},
    )
    await ensure_topics(settings, topics.declared(settings))
    for name in topics.EXCHANGES:
        await pass_over(settings, name)
    roles = [("normalize",), *(("ingest", "--exchange", name) for name in topics.EXCHANGES)]
    async with AsyncExitStack() as stack:
        for role in roles:
            log = stack.enter_context((tmp_path / f"{'-'.join(role)}.log").open("wb"))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "k2stream", "worker", *role),
                env=os.environ | environment(settings),
                stdout=log,
                stderr=log,
            )
            stack.push_async_callback(process.wait)
            stack.callback(process.terminate)
        yield settings


async def pass_over(settings, exchange):
    """Commit the events of other tests as answered."""
    tp = TopicPartition(topics.FEED_EVENTS, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, group_id=group(exchange), enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        await consumer.commit(await consumer.end_offsets([tp]))
    finally:
        await consumer.stop()


class Topic:
    """All that comes to a topic."""

    def __init__(self, settings, name, partitions):
        self.records = []
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
        self._tps = [TopicPartition(name, number) for number in range(partitions)]

    async def __aenter__(self):
        await self._consumer.start()
        self._consumer.assign(self._tps)
        await self._consumer.seek_to_end(*self._tps)
        return self

    async def __aexit__(self, *details):
        await self._consumer.stop()

    async def poll(self):
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            self.records += records


def happened(path):
    """What the exchanges say, by (exchange, symbol): (time, id, price, quantity, whether the taker bought).

    An aggregated trade is all of one moment, and has the number of its trades in place of the id.
    """
    moments = defaultdict(list)
    for number, line in enumerate(path.read_text().splitlines()):
        trade = json.loads(line)
        moment = trade["time_us"] if trade["symbol"] == AGGREGATED else number
        moments[trade["exchange"], trade["symbol"], moment].append(trade)
    found = defaultdict(list)
    for (exchange, symbol, _), alike in moments.items():
        trade = alike[0]
        time = trade["time_us"] // 1000 * 1000 if exchange == "binance" else trade["time_us"]
        number = None if exchange == "kraken" else len(alike) if symbol == AGGREGATED else trade["id"]
        quantity = sum(Decimal(item["quantity"]) for item in alike)
        row = (time, number, Decimal(trade["price"]), quantity, trade["taker_buy"])
        found[exchange, symbol].append(row)
    return found


def inject(simulator, kind, **how):
    for name in simulator.venues:
        simulator.inject(Fault(exchange=name, kind=kind, **how))


def arrived(records):
    """The canonical trades of our symbols as `happened` has them."""
    full = trades.decode([record.value for record in records if b"GAP" in record.key])
    numbers = (
        map(Decimal, decimals.to_strings(decimals.from_fixed16(column)))
        for column in (full.price, full.quantity)
    )
    names = ("exchange", "symbol", "timestamp", "taker_buy", "sequence", "trade_count")
    found = defaultdict(list)
    rows = zip(*(getattr(full, name).tolist() for name in names), *numbers, strict=True)
    for exchange, symbol, time, taker_buy, number, count, price, quantity in rows:
        number = None if exchange == "kraken" else count if symbol == AGGREGATED else number
        found[exchange, symbol].append((time, number, price, quantity, taker_buy))
    return found


def from_the_first(wanted, found):
    """What happened from the first trade on that came of each symbol, with nothing else in `found`."""
    assert set(found) <= set(wanted)
    return {
        name: sorted(row for row in wanted[name] if row[0] >= min(rows)[0]) for name, rows in found.items()
    }


async def test_every_trade_is_there_once_after_drops_and_cuts(simulator, workers, tmp_path):
    settings = workers
    await registry.register(topics.NORMALIZED, "trade", settings.registry_url)
    venues = simulator.venues
    async with (
        Topic(settings, topics.NORMALIZED, settings.normalized_partitions) as normalized,
        Topic(settings, topics.FEED_EVENTS, 1) as events,
    ):
        await until(lambda: all(venue.counts.sent_trades > 50 for venue in venues.values()))
        inject(simulator, Kind.DROP, count=DROPPED)
        await until(lambda: all(venue.faults.done[Kind.DROP] == DROPPED for venue in venues.values()))
        inject(simulator, Kind.REFUSE, seconds=OUTAGE_SECONDS)
        inject(simulator, Kind.REST, seconds=2 * OUTAGE_SECONDS)
        inject(simulator, Kind.ABORT)
        await until(lambda: all(venue.counts.connections == 2 for venue in venues.values()))
        sent = {name: venue.counts.sent_trades for name, venue in venues.items()}
        await until(lambda: all(venue.counts.sent_trades > sent[name] + 50 for name, venue in venues.items()))
        simulator.stop_trading()
        wanted = happened(tmp_path / "trades.jsonl")
        async with asyncio.timeout(60):
            found = {}
            while not found or from_the_first(wanted, found) != found:
                await normalized.poll()
                await events.poll()
                found = {name: sorted(rows) for name, rows in arrived(normalized.records).items()}
    assert set(found) == set(wanted)
    told = [msgspec.json.decode(record.value, type=FeedEvent) for record in events.records]
    filled = Counter()
    for event in told:
        if event.kind is EventKind.BACKFILLED:
            filled[event.exchange] += event.count
            assert not event.detail
    assert all(filled[name] for name in ("binance", "kraken")), filled
