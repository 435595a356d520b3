"""The normalize worker against a broker: killed again and again, and still what the pure normaliser says."""

import asyncio
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from k2stream import exchanges, instruments, normalizer, topics
from k2stream.avro import registry, trades
from k2stream.batch import RecordBatch
from k2stream.exchanges import raw
from k2stream.kafka import creation
from k2stream.model.trade import RawTrade
from k2stream.settings import Settings, environment
from tests import kafka
from tests.integration.partitions import settings_on
from tests.integration.repetition import repeated

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

ROUND, ROUND_SECONDS = 50, 0.1  # trades of each exchange, and how often
BACKLOG_US = 72 * 3600 * 1_000_000  # longer than the normalized topic keeps what is written
LISTED = instruments.load(Settings().feeds.instruments_file)


def bodies(exchange, rng):
    """(symbol, raw record) with duplicates, gaps, disorder and what cannot be used."""
    listed = LISTED.for_exchange(exchange)
    ids = Counter()
    now = time.time_ns() // 1000 - BACKLOG_US
    for number in itertools.count():
        symbol = rng.choice(listed).symbol
        ids[symbol] += rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 3, -2))
        price = rng.choice((f"{rng.uniform(1, 90_000):.2f}", f"{rng.uniform(0, 1):.9f}", "12", "1e-8"))
        quantity = f"{rng.expovariate(5) + 1e-7:.8f}"
        price = rng.choice(("zero", "-1", "0")) if rng.random() < 0.005 else price
        micros = now + number * 100
        body = json.dumps(trade(exchange, symbol, ids[symbol] + 1000, price, quantity, micros, rng)).encode()
        record = raw.record(RawTrade(symbol, body), micros + 700, "conn", number)
        yield symbol, record[:-3] if rng.random() < 0.005 else record


def trade(exchange, symbol, number, price, quantity, micros, rng):
    if exchange == "binance":
        fields = {"e": "trade", "E": micros // 1000, "s": symbol, "t": number, "p": price, "q": quantity}
        return fields | {"T": micros // 1000, "m": rng.random() < 0.5, "M": True}
    if exchange == "kraken":
        moment = f"{micros // 1_000_000}.{micros // 50_000 * 50_000 % 1_000_000:06d}"
        fields = {"pair": symbol, "price": price, "volume": "0.1", "time": moment}
        return fields | {"side": rng.choice("bs"), "orderType": "l", "misc": ""}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 1_000_000))
    fields = {"trade_id": str(number), "product_id": symbol, "price": price, "size": quantity, "side": "BUY"}
    return fields | {"time": f"{moment}.{micros % 1_000_000:06d}Z", "type": "update"}


async def publish(settings, enough):
    """Until there was enough; how many trades of each exchange."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap, linger_ms=20)
    await producer.start()
    try:
        feeds = {exchange: bodies(exchange, random.Random(exchange)) for exchange in topics.EXCHANGES}
        for number, row in enumerate(zip(*feeds.values(), strict=True)):
            for exchange, (symbol, value) in zip(feeds, row, strict=True):
                partition = topics.partition_of(symbol, settings.kafka.raw_partitions(exchange))
                await producer.send(topics.raw(exchange), value, symbol.encode(), partition=partition)
            if number % ROUND == 0:
                if enough.is_set():
                    break
                await asyncio.sleep(ROUND_SECONDS)
        await producer.flush()
        return number + 1
    finally:
        await producer.stop()


async def read(settings, topic, partitions):
    """All records of a topic, by partition."""
    return await kafka.read(settings.kafka.bootstrap, topic, partitions)


async def positions(settings):
    """Sums over the raw topics: what the worker has committed, and what there is."""
    tps = [
        tp
        for exchange in topics.EXCHANGES
        for tp in kafka.partitions(topics.raw(exchange), settings.kafka.raw_partitions(exchange))
    ]
    found = await kafka.progress(settings.kafka.bootstrap, "k2-normalize", tps)
    return sum(found.committed.values()), sum(found.ends.values())


async def committed_beyond(settings, count):
    return (await positions(settings))[0] > count


async def until(condition, process, log):
    while not await condition():
        assert process.returncode is None, log.read_text()[-3000:]
        await asyncio.sleep(0.1)


async def worker(settings, log):
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "k2stream", "worker", "normalize"),
            env=os.environ | environment(settings),
            stdout=out,
            stderr=out,
        )


def expected(exchange, partition, records, schema_id):
    """What the pure normaliser makes of a whole partition."""
    canonical_of = {item.symbol: item.canonical for item in LISTED.for_exchange(exchange)}
    batch = RecordBatch(
        TP(topics.raw(exchange), partition),
        np.array([record.offset for record in records]),
        np.array([record.timestamp for record in records]),
        [record.key for record in records],
        [record.value for record in records],
    )
    return normalizer.normalize(
        exchanges.get(exchange),
        batch,
        lambda symbol: None,
        lambda symbol: canonical_of.get(symbol) or exchanges.get(exchange).canonical(symbol),
        schema_id=schema_id,
        process_time=0,
    )


def contents(full):
    """All fields of each canonical trade but the process time."""
    vendor = list(zip(full.vendor_keys.tolist(), full.vendor_values.tolist(), strict=True))
    bounds = full.vendor_offsets.tolist()
    skipped = ("process_time", "vendor_offsets", "vendor_keys", "vendor_values", "added")
    columns = {
        name: getattr(full, name).tolist()
        for cls in type(full).__mro__
        for name in getattr(cls, "__slots__", ())
        if name not in skipped
    }
    return [
        {name: column[row] for name, column in columns.items()}
        | {"vendor_data": vendor[bounds[row] : bounds[row + 1]]}
        for row in range(len(full))
    ]


@repeated(kills=(2, 20))
async def test_kills_lose_and_change_nothing(running_stack, tmp_path, kills):
    settings = settings_on(running_stack.endpoints, tmp_path)
    await creation.ensure_topics(settings.kafka, topics.declared(settings.kafka))
    began = time.time_ns() // 1_000_000
    rng, log, enough = random.Random(5), tmp_path / "worker.log", asyncio.Event()
    publishing = asyncio.create_task(publish(settings, enough))
    async with asyncio.timeout(240 + 60 * kills):
        for _ in range(kills):
            before, _ = await positions(settings)
            process = await worker(settings, log)
            await until(partial(committed_beyond, settings, before), process, log)
            await asyncio.sleep(rng.uniform(0, 1.5))
            process.kill()
            await process.wait()
        enough.set()
        count = await publishing
        process = await worker(settings, log)
        _, end = await positions(settings)
        await until(partial(committed_beyond, settings, end - 1), process, log)
        process.terminate()
        await process.wait()

    schema_id = await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry)
    normalized = await read(settings, topics.NORMALIZED, settings.kafka.normalized_partitions)
    letters = [json.loads(record.value) for record in (await read(settings, topics.DLQ, 1))[0]]
    found = {}
    for partition, records in normalized.items():
        full = trades.decode([record.value for record in records])
        assert set(full.raw_partition.tolist()) <= {partition}
        for record, trade in zip(records, contents(full), strict=True):
            assert record.key == f"{trade['exchange']}:{trade['canonical_symbol']}".encode()
            assert record.timestamp > began - 3_600_000, "retention would take what nobody has read"
            where = (trade["exchange"], partition, trade["raw_offset"])
            assert found.setdefault(where, trade) == trade, "a replay wrote another record"
    wanted, rejected = {}, set()
    for exchange in topics.EXCHANGES:
        everything = await read(settings, topics.raw(exchange), settings.kafka.raw_partitions(exchange))
        for partition, records in everything.items():
            done = expected(exchange, partition, records, schema_id)
            for trade in contents(trades.decode(done.values)):
                wanted[exchange, partition, trade["raw_offset"]] = trade
            rejected |= {(letter.topic, letter.partition, letter.offset) for letter in done.dead_letters}
    assert len(wanted) > 2 * count and len(rejected) > count // 200
    assert found == wanted
    assert {
        (x["topic"], x["partition"], x["offset"]) for x in letters if x["stage"] == "normalize"
    } == rejected
