"""Frames that were dropped and connections that were cut, on all exchanges: nothing is missing in the end."""

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from unittest.mock import AsyncMock

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from k2stream import exchanges, instruments, topics
from k2stream.avro import registry, trades
from k2stream.backfill import outages
from k2stream.backfill.output import Output
from k2stream.backfill.retained import last_received
from k2stream.backfill.task import Task
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Page, Past
from k2stream.feed import Columns
from k2stream.kafka.creation import ensure_topics
from k2stream.kafka.groups import gap_fill_group as group
from k2stream.model import clock, decimals
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import RawTrade
from k2stream.settings import environment
from k2stream.simulator import Options, Simulator
from k2stream.simulator.faults import Fault, FaultKind
from tests import kafka
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
async def settings(running_stack, simulator, tmp_path):
    """Of workers on the simulated exchanges."""
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
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry)
    for name in topics.EXCHANGES:
        await pass_over(settings, name)
    return settings


@asynccontextmanager
async def workers(settings, log):
    """An ingest an exchange, and normalize."""
    command = (sys.executable, "-m", "k2stream", "worker")
    roles = [("normalize",), *(("ingest", "--exchange", name) for name in topics.EXCHANGES)]
    with log.open("wb") as out:
        processes = [
            await asyncio.create_subprocess_exec(
                *command, *role, env=os.environ | environment(settings), stdout=out, stderr=out
            )
            for role in roles
        ]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in processes))


async def pass_over(settings, exchange):
    """Commit the events of other tests as answered."""
    tps = kafka.partitions(topics.FEED_EVENTS, 1)
    async with kafka.consuming(settings.kafka.bootstrap, tps, group(exchange)) as consumer:
        await consumer.commit(await consumer.end_offsets(tps))


class Topic:
    """All that comes to a topic."""

    def __init__(self, settings, name, partitions):
        self.records = []
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap)
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

    An aggregated trade is all of one moment, and has the id of the first in place of its own.
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
        named = None if exchange == "kraken" else trade["id"]
        quantity = sum(Decimal(item["quantity"]) for item in alike)
        row = (time, named, Decimal(trade["price"]), quantity, trade["taker_buy"])
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
    vendor = list(zip(full.vendor_keys.tolist(), full.vendor_values.tolist(), strict=True))
    first = [dict(vendor[start:end]).get("f") for start, end in pairwise(full.vendor_offsets.tolist())]
    names = ("exchange", "symbol", "timestamp", "taker_buy", "sequence")
    found = defaultdict(list)
    rows = zip(*(getattr(full, name).tolist() for name in names), first, *numbers, strict=True)
    for exchange, symbol, time, taker_buy, number, first, price, quantity in rows:
        number = None if exchange == "kraken" else int(first or number)
        found[exchange, symbol].append((time, number, price, quantity, taker_buy))
    return found


def from_the_first(wanted, found):
    """What happened from the first trade on that came of each symbol."""
    begin = {name: min(found.get(name) or rows)[:2] for name, rows in wanted.items()}
    return {name: sorted(row for row in rows if row[:2] >= begin[name]) for name, rows in wanted.items()}


async def test_every_trade_is_there_once_after_drops_and_cuts(simulator, settings, tmp_path):
    venues = simulator.venues
    async with (
        Topic(settings, topics.NORMALIZED, settings.kafka.normalized_partitions) as normalized,
        Topic(settings, topics.FEED_EVENTS, 1) as events,
        workers(settings, tmp_path / "workers.log"),
    ):
        await until(lambda: all(venue.counts.sent_trades > 50 for venue in venues.values()))
        inject(simulator, FaultKind.DROP, count=DROPPED)
        for venue in venues.values():
            while (
                venue.faults.done[FaultKind.DROP] < DROPPED
            ):  # in one instant with the cut: Kraken has no ids
                venue.tick()
        inject(simulator, FaultKind.REFUSE, seconds=OUTAGE_SECONDS)
        inject(simulator, FaultKind.REST, seconds=2 * OUTAGE_SECONDS)
        inject(simulator, FaultKind.ABORT)
        await until(lambda: all(venue.counts.connections == 2 for venue in venues.values()))
        sent = {name: venue.counts.sent_trades for name, venue in venues.items()}
        await until(lambda: all(venue.counts.sent_trades > sent[name] + 50 for name, venue in venues.items()))
        simulator.stop_trading()
        wanted = happened(tmp_path / "trades.jsonl")
        found, deadline = {}, clock.now_us() + 60_000_000
        while clock.now_us() < deadline and from_the_first(wanted, found) != found:
            await normalized.poll()
            await events.poll()
            found = {name: sorted(rows) for name, rows in arrived(normalized.records).items()}
    assert from_the_first(wanted, found) == found
    told = [msgspec.json.decode(record.value, type=FeedEvent) for record in events.records]
    filled = Counter()
    listed = {item.symbol for item in instruments.load(tmp_path / "instruments.yaml")}
    for event in told:  # other tests' symbols may have gaps in the same topic
        if event.kind is EventKind.BACKFILLED and event.symbol in listed:
            filled[event.exchange] += event.count
            assert not event.detail
    assert all(filled[name] for name in ("binance", "kraken")), filled


class Publisher:
    """A feed's publisher through a plain producer."""

    def __init__(self, producer):
        self.count = 0
        self._producer = producer

    async def publish(self, columns):
        for (topic, partition), column in columns.items():
            for key, value, timestamp in zip(column.keys, column.values, column.timestamps, strict=True):
                await self._producer.send_and_wait(
                    topic, value, key=key, partition=partition, timestamp_ms=timestamp
                )
                self.count += topic == topics.raw("kraken")


async def test_an_outage_filled_twice_is_filled_once_whatever_the_clocks(running_stack, tmp_path):
    """Without ids: what the raw topic holds is not published again, with an exchange's clock 20 s ahead."""
    settings = settings_on(running_stack.endpoints, tmp_path, gap_fill_margin_seconds=0.5)
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    kraken, pair, ahead = exchanges.get("kraken"), "GAPC/USD", 20_000_000
    now = clock.now_us()
    start = now - 30_000_000
    happened = [past(pair, number, start + ahead + number * 100_000) for number in range(300)]
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        publisher = Publisher(producer)
        columns = {(topics.raw("kraken"), topics.partition_of(pair, 2)): Columns()}
        (column,) = columns.values()
        for number, item in enumerate(happened):
            if not 100 <= number < 200 or number % 10 == 0:  # of an outage of 10 s every tenth came
                received = item.time - ahead + 20_000
                column.append(pair.encode(), raw.record(item.trade, received, "c", number), received)
        await publisher.publish(columns)
        before = publisher.count
        assert max((await last_received(kraken, settings.kafka)).values()) == received

        client = AsyncMock(history=kraken.history)
        client.fetch = AsyncMock(side_effect=lambda request: Page(happened, happened[-1].time * 1000))
        output = Output("kraken", publisher, settings.kafka)
        task = Task(kraken, [pair], client, output, settings, AsyncMock())
        span = {"since": happened[100].time - ahead, "time": happened[200].time - ahead}
        event = FeedEvent(kind=EventKind.CONNECTED, exchange="kraken", **span)
        await outages.fill(task, event)
        assert publisher.count == before + 90
        await outages.fill(task, event)
        assert publisher.count == before + 90
        assert max((await last_received(kraken, settings.kafka)).values()) == received


def past(pair, number, time):
    body = '{"pair":"%s","price":"%d","volume":"1","time":"%d.%06d","side":"b","orderType":"l","misc":""}'
    text = body % (pair, number % 7 + 1, time // 1_000_000, time % 1_000_000)
    return Past(number, time, RawTrade(pair, text.encode()))
