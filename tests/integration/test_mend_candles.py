"""What `k2 mend candles` rebuilds the tables from: canonical trades are never given up for raw records."""

from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from k2stream import exchanges, settings, topics
from k2stream.avro import registry
from k2stream.batch import TP, RecordBatch
from k2stream.embedded.ports import free_port
from k2stream.embedded.stack import Stack
from k2stream.kafka.creation import ensure_topics
from k2stream.mend import rebuilt
from k2stream.model.errors import RegistryUnavailable
from k2stream.normalizer import normalize
from tests.integration.partitions import settings_on

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SYMBOL, KEY = "BTCUSDT", "binance:BTC/USDT"
PARTITION = topics.partition_of(SYMBOL, 2)
RAW = TP(topics.raw("binance"), PARTITION)
CANONICAL = TP(topics.NORMALIZED, PARTITION)
BASE = 1_700_000_000_000
TRADES, RAW_LEFT = 30, 10
UNKNOWN_ID = 990_003
TO_NORMALIZE = slice(5, TRADES)  # the canonical topic no longer has the first five


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(tmp_path_factory):
    """A broker whose raw topic lost what followed its tenth record, before any sink had read it."""
    folder = tmp_path_factory.mktemp("mend")
    cache = Path(settings.load().local.cache_dir)
    async with Stack(folder, cache, training=False) as stack, own_registry():
        at = settings_on(stack.endpoints, folder)
        await ensure_topics(at.kafka, topics.declared(at.kafka))
        await publish(at, RAW, [(SYMBOL.encode(), value) for value in raw()[:RAW_LEFT]])
        await publish(at, CANONICAL, await canonical(at))
        yield at


@asynccontextmanager
async def own_registry():
    """What this process knows of another stack's registry is not of this one's."""
    with pytest.MonkeyPatch.context() as patch:
        for known in ("_registered", "_writers", "_layouts", "_unknown"):
            patch.setattr(registry, known, {})
        patch.setattr(registry, "_process", dict(registry._process))
        yield


def raw():
    return [
        b'{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%d.5","q":"1","T":%d,"m":true,"M":true,'
        b'"k2_recv":%d,"k2_conn":"a","k2_seq":%d}'
        % (time := BASE + 40 * n, SYMBOL.encode(), n + 1, n % 7 + 1, time, time * 1000, n)
        for n in range(TRADES)
    ]


async def canonical(at):
    schema = await registry.register(topics.NORMALIZED, "trade", at.kafka.registry)
    rows = range(TRADES)
    batch = RecordBatch(RAW, np.array(rows), np.array([BASE] * TRADES), [SYMBOL.encode()] * TRADES, raw())
    done = normalize(
        exchanges.get("binance"),
        batch,
        lambda _: None,
        lambda _: KEY.partition(":")[2],
        schema_id=schema,
        process_time=1,
    )
    return list(zip(done.keys, done.values, strict=True))[TO_NORMALIZE]


async def publish(at, tp, records):
    async with AIOKafkaProducer(bootstrap_servers=at.kafka.bootstrap) as producer:
        for key, value in records:
            await producer.send_and_wait(tp.topic, value, key, partition=tp.partition)


def window(built):
    """The raw offset, volume and number of trades of the day's candle."""
    ((_, found),) = built.windows["1d"].contents.items()
    return found.raw_offset, found.volume / 10**18, found.records


async def test_trades_that_only_the_canonical_topic_has_are_in_the_rebuilt_candles(at):
    said = []
    built = await rebuilt.candle_contents(at, (), said.append)
    assert window(built) == (TRADES - 1, TRADES, TRADES)
    assert said == []
    alone = await rebuilt.candle_contents(at, {PARTITION}, said.append)
    assert window(alone) == (RAW_LEFT - 1, RAW_LEFT, RAW_LEFT)


async def test_a_record_that_is_no_trade_costs_itself(at):
    await publish(at, CANONICAL, [(KEY.encode(), b"junk")])
    said = []
    built = await rebuilt.candle_contents(at, (), said.append)
    assert window(built) == (TRADES - 1, TRADES, TRADES)
    assert said == ["records of the canonical topic that are no trades: 1; their dead letters keep them"]


async def test_a_registry_that_does_not_answer_stops_it(at):
    await publish(at, CANONICAL, [(KEY.encode(), b"\0%sxyz" % UNKNOWN_ID.to_bytes(4, "big"))])
    nowhere = f"http://127.0.0.1:{free_port()}"
    away = msgspec.structs.replace(at, kafka=msgspec.structs.replace(at.kafka, registry_url=nowhere))
    said = []
    try:
        with pytest.raises(RegistryUnavailable, match=f"schema {UNKNOWN_ID} cannot be read from registry"):
            await rebuilt.candle_contents(away, (), said.append)
        assert said == []
    finally:
        registry.use(at.kafka.registry)
    assert window(await rebuilt.candle_contents(at, (), said.append)) == (TRADES - 1, TRADES, TRADES)
