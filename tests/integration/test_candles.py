"""The candles worker against a broker: killed, doubled, and held to one record at a time."""

import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from k2stream import instruments, settings, topics
from k2stream.avro import candles, registry, trades
from k2stream.embedded.ports import free_port
from k2stream.embedded.stack import Stack
from k2stream.kafka import creation
from k2stream.model import decimals
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.trade import TradeColumns
from tests import kafka
from tests.integration.partitions import TWO, settings_on
from tests.integration.repetition import repeated
from tests.unit.candles import reference
from tests.unit.candles.reference import Trade

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

GROUP = "k2-candles"
GRACE = 5_000_000
HOUR = 3_600_000_000
# A minute before an hour, past for the clock and young for the topics' retention.
START = (time.time_ns() // 1000 // HOUR - 72) * HOUR - 60_000_000
LISTED = [
    item
    for item in instruments.load(settings.Settings().feeds.instruments_file)
    if item.exchange != "coinbase"
]


class Platform:
    """A broker with the topics, and candles workers on it."""

    def __init__(self, endpoints, folder):
        self.folder = folder
        self.settings = settings_on(
            endpoints, folder, grace_seconds=GRACE / 1e6, idle_seconds=1.0, candle_retention=100_000
        )
        self.offsets = defaultdict(int)

    async def publish(self, batches):
        """Records of (partition, trades) to the normalized topic."""
        schema_id = await registry.register(topics.NORMALIZED, "trade", self.settings.kafka.registry)
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka.bootstrap)
        await producer.start()
        for partition, batch in batches:
            builder = producer.create_batch()
            for key, value in zip(
                (t.key.encode() for t in batch), encode(batch, partition, schema_id), strict=True
            ):
                assert builder.append(timestamp=int(time.time() * 1000), key=key, value=value)
            await producer.send_batch(builder, topics.NORMALIZED, partition=partition)
        await producer.stop()

    async def read(self, topic):
        """All records of a topic."""
        counts = {declared.name: declared.partitions for declared in topics.declared(self.settings.kafka)}
        found = await kafka.read(self.settings.kafka.bootstrap, topic, counts[topic])
        return [record for records in found.values() for record in records]

    async def members(self):
        """Workers of the group once it is stable, else 0."""
        return len(await kafka.members(self.settings.kafka.bootstrap, GROUP))

    async def lag(self):
        """Records of the normalized topic that are not committed."""
        tps = kafka.partitions(topics.NORMALIZED, self.settings.kafka.normalized_partitions)
        return (await kafka.progress(self.settings.kafka.bootstrap, GROUP, tps)).lag


class Worker:
    """A candles worker process."""

    def __init__(self, platform, name):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = settings.environment(platform.settings)
        environment = {"K2_WEB_PORT": str(self.port), "K2_DATA_DIR": str(platform.folder / name)}
        self._environment = os.environ | given | environment
        self.log = platform.folder / f"{name}.log"

    async def __aenter__(self):
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "k2stream",
                "worker",
                "candles",
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def ready(self, client):
        await until(lambda: self._healthy(client), 60, self.log)

    async def _healthy(self, client):
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        try:
            return (await client.get(f"{self.url}/health")).status_code == 200
        except httpx.TransportError:
            return False


async def until(condition, seconds, log=None):
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log else f"not in {seconds} s"
        await asyncio.sleep(0.1)


def encode(batch, partition, schema_id):
    exchange = batch[0].key.partition(":")[0]
    columns = TradeColumns(
        exchange,
        [t.key for t in batch],
        [str(t.raw_offset) for t in batch],
        [t.timestamp for t in batch],
        [t.receive_time for t in batch],
        [str(t.price) for t in batch],
        [str(t.quantity) for t in batch],
        [t.taker_buy for t in batch],
        [t.sequence for t in batch],
        [t.trade_count for t in batch],
    )
    price, quantity = decimals.parse(columns.price)[0], decimals.parse(columns.quantity)[0]
    return trades.encode(
        columns,
        price,
        quantity,
        canonical=[t.key.partition(":")[2] for t in batch],
        raw_partition=partition,
        raw_offset=[t.raw_offset for t in batch],
        process_time=batch[0].receive_time,
        schema_id=schema_id,
    )


def made(seed, count, offsets, start=START):
    """Batches of trades by partition in raw order, with disorder, late ones and replays; and all of them."""
    rng = random.Random(seed)
    clock = defaultdict(lambda: start)
    batches, everything = [], []
    for _ in range(count // 40):
        item = rng.choice(LISTED)
        partition = topics.partition_of(item.symbol, TWO[f"{item.exchange}_partitions"])
        batch = []
        for _ in range(40):
            clock[item.key] += rng.choice((0, 1, 1000, 250_000, 1_500_000, 9_000_000))
            moved = rng.choice((0, 0, 0, 0, -2_000_000, -90_000_000))
            offset = offsets[item.exchange, partition]
            offsets[item.exchange, partition] += 1
            batch.append(
                Trade(
                    item.key,
                    clock[item.key] + moved,
                    rng.randrange(3),
                    offset,
                    Decimal(rng.randrange(1, 10**9)).scaleb(-rng.randrange(0, 9)),
                    Decimal(rng.randrange(1, 10**9)).scaleb(-rng.randrange(5, 14)),
                    rng.random() < 0.5,
                    rng.randrange(1, 4),
                    clock[item.key] + 20_000,
                )
            )
        batches.append((partition, batch))
        if rng.random() < 0.1:
            batches.append((partition, batch[rng.randrange(40) :]))
        everything += batch
    return batches, everything


def expected(everything):
    """Candles by window, all final: the clock has closed what no trade has; and late trades."""
    windows, _, late = reference.run(everything, GRACE)
    native = {item.key: item for item in LISTED}
    found = {}
    for window, inside in windows.items():
        item = native[window[1]]
        partition = topics.partition_of(item.symbol, TWO[f"{item.exchange}_partitions"])
        found[window] = reference.candle(window, inside, True, item.symbol, partition)
    return found, set(late)


async def served(client, url, item, timeframe, **parameters):
    path = f"{url}/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/{timeframe}"
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def all_served(client, url):
    found = {}
    for item in LISTED:
        for timeframe in TIMEFRAMES:
            answer = await served(client, url, item, timeframe, limit=5000)
            assert answer["simulated"] is True
            for candle in answer["candles"]:
                found[timeframe, item.key, candle["open_time"]] = candle
    return found


def same(served_candle, candle):
    for name, value in served_candle.items():
        if name not in ("filled", "feed_healthy", "feed_reason"):
            wanted = getattr(candle, name)
            assert (Decimal(value) if isinstance(wanted, Decimal) else value) == wanted, (name, candle)
    return True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory):
    cache = Path(settings.load().local.cache_dir)
    async with Stack(tmp_path_factory.mktemp("candles"), cache, training=False) as stack:
        platform = Platform(stack.endpoints, tmp_path_factory.mktemp("workers"))
        await creation.ensure_topics(platform.settings.kafka, topics.declared(platform.settings.kafka))
        await registry.register(topics.ohlcv("1m"), "candle", platform.settings.kafka.registry)
        yield platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client():
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


@repeated(kills=(2, 20))
async def test_candles_are_exact_after_kills_with_open_windows(platform, client, kills):
    batches, everything = made(1, 6000 * kills, platform.offsets)
    rng, bounds = random.Random(2), [len(batches) * part // kills for part in range(kills + 1)]
    for round_ in range(kills):
        async with Worker(platform, f"killed-{round_}") as worker:
            await worker.ready(client)
            await platform.publish(batches[bounds[round_] : bounds[round_ + 1]])
            await asyncio.sleep(rng.uniform(0.05, 0.6))
            worker.process.kill()
            await worker.process.wait()
    candles_, late = expected(everything)
    async with Worker(platform, "last") as worker:
        await worker.ready(client)
        await until(lambda: _is(platform.lag, 0), 60, worker.log)

        await until(lambda: _all_closed(client, worker), 30, worker.log)
        found = await all_served(client, worker.url)
    assert found.keys() == candles_.keys()
    assert all(same(found[window], candle) for window, candle in candles_.items())
    await _published_exactly(platform, candles_)
    records = {(r.key.decode(), o) for r in await platform.read(topics.LATE) for o in _offsets([r])}
    assert records == late


async def _published_exactly(platform, wanted):
    """The last revision of each window is its final candle, and finals of one revision are equal."""
    last = {}
    for timeframe in TIMEFRAMES:
        for record in await platform.read(topics.ohlcv(timeframe)):
            (candle,) = candles.decode([record.value])
            window = (timeframe, record.key.decode(), candle.open_time)
            before = last.get(window)
            if before is None or candle.revision >= before.revision:
                if (
                    before is not None
                    and candle.revision == before.revision
                    and before.final
                    and candle.final
                ):
                    assert candle == before
                last[window] = candle
    assert last == wanted


def _offsets(records):
    return trades.decode_hot([r.value for r in records], [r.key for r in records]).raw_offset.tolist()


async def _is(ask, value):
    return await ask() == value


async def test_any_worker_answers_for_all(platform, client):
    async with Worker(platform, "one") as one, Worker(platform, "two") as two:
        await asyncio.gather(one.ready(client), two.ready(client))

        await until(lambda: _is(platform.members, 2), 30, one.log)
        await until(lambda: _healthy(client, one, two), 30, one.log)
        # Windows that only the clock closed, and no commit made durable before the last worker was killed.
        await until(lambda: _all_closed(client, one), 30, one.log)
        answers = [await all_served(client, worker.url) for worker in (one, two)]
        assert answers[0] == answers[1]
        assert answers[0]
        listing = (await client.get(f"{two.url}/instruments")).json()
        assert {item["symbol"] for item in listing["instruments"]} >= {item.symbol for item in LISTED}

        answer = await client.get(f"{one.url}/ohlcv/kraken/XBT%2FUSD/1m", params={"limit": 1})
        assert (answer.status_code, len(answer.json()["candles"])) == (200, 1)
        rows = (await client.get(f"{one.url}/ohlcv/binance/BTCUSDT/5m?format=ccxt&limit=3")).json()
        assert len(rows) == 3
        assert rows == sorted(rows)
        for path, status in (
            ("/ohlcv/bitmex/BTC-USD/1m", 404),
            ("/ohlcv/kraken/BTCUSDT/1m", 404),
            ("/ohlcv/kraken/BTC-USD/7x", 404),
            ("/ohlcv/kraken/BTC-USD/1m?limit=0", 400),
        ):
            refused = await client.get(f"{one.url}{path}")
            assert (refused.status_code, bool(refused.json()["error"])) == (status, True)

        filled = await served(client, one.url, LISTED[0], "1m", limit=5000, fill="prev")
        times = [candle["open_time"] for candle in filled["candles"]]
        assert times == list(range(times[0], times[-1] + 1, 60_000))


async def _all_closed(client, worker):
    return all(candle["final"] for candle in (await all_served(client, worker.url)).values())


async def _healthy(client, *workers):
    return all([await worker._healthy(client) for worker in workers])
