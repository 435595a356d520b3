"""Feeds on simulated exchanges, over real sockets and without Kafka."""

import asyncio
import base64
import json
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from k2stream import exchanges, instruments, topics
from k2stream.feed import Feed, MemoryPublisher
from k2stream.settings import Settings, make
from k2stream.simulator import Options, Simulator
from k2stream.simulator.faults import Fault

INSTRUMENTS = instruments.load(Settings().feeds.instruments_file)


class Bench:
    """One exchange, simulated, and its feed."""

    def __init__(self, simulator, feed, publisher, exchange):
        self.simulator = simulator
        self.venue = simulator.venues[exchange]
        self.feed = feed
        self.publisher = publisher
        self.exchange = exchange
        self.recorded: Path | None = None
        self.running = asyncio.create_task(feed.run())

    async def until(self, condition, seconds=30.0):
        """Wait for a condition, and fail at once when the feed dies."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.running.done(), self.running.result()
                await asyncio.sleep(0.002)

    async def connected(self):
        await self.until(lambda: self.feed.status.connected and self.raw)

    async def drained(self):
        """Stop trading and wait until everything sent has come."""
        self.simulator.stop_trading()
        counts = self.venue.counts
        await self.until(lambda: len(self.raw) >= counts.sent_trades + counts.snapshot_trades)

    def inject(self, kind, **options):
        self.simulator.inject(Fault(exchange=self.exchange, kind=kind, **options))

    def records(self, topic):
        return [json.loads(record.value) for record in self.publisher.topics.get(topic, [])]

    @property
    def raw(self):
        return self.publisher.topics.get(topics.raw(self.exchange), [])

    @property
    def letters(self):
        return [
            (letter["cause"], base64.b64decode(letter["original"])) for letter in self.records(topics.DLQ)
        ]

    @property
    def events(self):
        return Counter(event["kind"] for event in self.records(topics.FEED_EVENTS))


@pytest.fixture
async def bench(tmp_path):
    """A factory: `await bench("kraken", rate=400)` gives a connected Bench."""
    async with AsyncExitStack() as stack:

        async def start(
            exchange,
            *,
            rate=800,
            publisher=None,
            symbols=None,
            options=None,
            pending_bytes=1 << 25,
            **settings,
        ):
            mine = symbols or INSTRUMENTS.for_exchange(exchange)
            record = tmp_path / "trades.jsonl"
            simulator = await stack.enter_async_context(
                Simulator(
                    INSTRUMENTS.for_exchange(exchange), Options(rate=rate, record=record, **(options or {}))
                )
            )
            chosen = make(
                **{f"{exchange}_ws_url": simulator.urls[exchange]},
                **{
                    "simulated": True,
                    "reconnect_base_seconds": 0.01,
                    "reconnect_cap_seconds": 0.05,
                    "metrics_line_seconds": 0.05,
                    **settings,
                },
            )
            publisher = publisher or MemoryPublisher()
            feed = Feed(
                exchanges.get(exchange),
                mine,
                publisher,
                chosen.feeds,
                chosen.kafka.raw_partitions(exchange),
                pending_bytes=pending_bytes,
            )
            made = Bench(simulator, feed, publisher, exchange)
            made.recorded = record

            async def stop():
                if hasattr(publisher, "open"):  # a test that failed may have left it held
                    publisher.open.set()
                await feed.stop()
                await asyncio.gather(made.running, return_exceptions=True)

            stack.push_async_callback(stop)
            return made

        yield start
