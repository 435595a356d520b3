"""Raw records of past trading through the pipeline's own steps, for the certify worker."""

import asyncio
from collections import defaultdict

import numpy as np
from aiokafka import AIOKafkaProducer

from k2stream import exchanges, topics
from k2stream.avro import registry
from k2stream.avro.candles import encode
from k2stream.batch import TP, RecordBatch
from k2stream.candles import records
from k2stream.candles.state import to_row
from k2stream.model import clock, events
from k2stream.normalizer import normalize
from tests import kafka
from tests.unit.candles.stores import Worker

EXCHANGE = exchanges.get("binance")
PARTITIONS = 2


async def send(producer, topic, partition, keys, values, times=None):
    """Publish records; returns their offsets."""
    sent = [
        await producer.send(topic, value, key, partition=partition, timestamp_ms=times and times[row])
        for row, (key, value) in enumerate(zip(keys, values, strict=True))
    ]
    return [item.offset for item in await asyncio.gather(*sent)]


async def pipeline(settings, told, lost=()):
    """Publish raw records (symbol, value, receive time in µs), their trades, and final candles.

    `lost` are feed events. Returns the raw batches, and the last revision by timeframe, key and open time.
    """
    parts = defaultdict(list)
    for symbol, value, received in told:
        parts[topics.partition_of(symbol, PARTITIONS)].append((symbol.encode(), value, received // 1000))
    finals = {}
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        found = [events.encode(event) for event in lost]
        await send(producer, topics.FEED_EVENTS, 0, [b"binance"] * len(found), found)
        batches = [
            await _part(settings, producer, partition, part, finals) for partition, part in parts.items()
        ]
    return batches, finals


async def _part(settings, producer, partition, part, finals):
    address = settings.kafka.registry
    keys, values, times = map(list, zip(*part, strict=True))
    topic = topics.raw("binance")
    offsets = await send(producer, topic, partition, keys, values, times)
    columns = np.array(offsets), np.array(times), list(keys), list(values)
    source = RecordBatch(TP(topic, partition), *columns)
    done = normalize(
        EXCHANGE,
        source,
        lambda symbol: None,
        lambda symbol: symbol.replace("USDT", "/USDT"),
        schema_id=await registry.register(topics.NORMALIZED, "trade", address),
        process_time=clock.now_us(),
    )
    await send(producer, topics.NORMALIZED, partition, done.keys, done.values)
    at, count = TP(topics.NORMALIZED, partition), len(done.values)
    columns = np.arange(count), np.zeros(count, np.int64), list(done.keys), list(done.values)
    canonical = RecordBatch(at, *columns)
    folding = Worker()
    out = defaultdict(list)
    for start in range(0, count, 50):
        rows = list(range(start, min(start + 50, count)))
        _, trades, _ = records.read(canonical.take(rows))
        for (timeframe, key, opened), state in folding.partition.apply(trades, 0).updated.items():
            if state.final:
                finals[timeframe, key, opened] = state.revision
                row = to_row(state, key, "".join(key.partition(":")[2].split("/")), timeframe, opened)
                out[timeframe].append((key.encode(), row))
    for timeframe, made in out.items():
        topic = topics.ohlcv(timeframe)
        number = await registry.register(topic, "candle", address)
        values = [encode(row, number) for _, row in made]
        await send(producer, topic, partition, [key for key, _ in made], values)
    return source


async def issued(settings, prefix):
    """The records of the certificates topic whose keys begin with a prefix."""
    found = await kafka.read(settings.kafka.bootstrap, topics.CERTIFICATES, PARTITIONS)
    return [record for part in found.values() for record in part if record.key.startswith(prefix)]
