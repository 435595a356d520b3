"""The hot tier on the embedded engine: nothing twice, nothing lost."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from functools import partial

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from k2stream import settings, topics
from k2stream.batch import RecordBatch
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.clickhouse.migrate import migrate
from k2stream.delivery.anchors import renamed
from k2stream.delivery.destination import WentBack
from k2stream.delivery.epochs import Move, named
from k2stream.delivery.progress import SinkPosition, SinkProgress, SourcePartition
from k2stream.delivery.route import stored
from k2stream.delivery.sink import DestinationUnavailable, Policy, Sink
from k2stream.exchanges import raw
from k2stream.kafka import creation
from k2stream.model.errors import ConfigError
from k2stream.model.trade import RawTrade
from tests.integration.partitions import TWO
from tests.integration.sink_samples import GOLD, KRAKEN, SILVER, batch, candle, native, piece, trade

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


FIRST, SECOND = (("silver_trades", SourcePartition(SILVER.topic, number)) for number in (0, 1))


@pytest.fixture
def config(stack, request):
    """Settings of a database of the test's own."""
    return settings.make(
        kafka_bootstrap=stack.bootstrap,
        registry_url=stack.registry_url,
        clickhouse_port=stack.clickhouse_port,
        clickhouse_database=f"sinks_{abs(hash(request.node.name))}",
        **TWO,
    )


@pytest.fixture
def client(config):
    client = connect(config.clickhouse)
    yield client
    client.execute(f"DROP DATABASE IF EXISTS {config.clickhouse.database}")
    client.disconnect()


@pytest.fixture
def store(config, client):
    store = ClickHouse(config.clickhouse)
    store.prepare([])
    yield store
    store.close()


def count(client, config, table, what="count()"):
    return client.execute(f"SELECT {what} FROM {config.clickhouse.database}.{table}")[0][0]


async def test_migrating_twice_changes_nothing(config, client):
    assert migrate(client, config.clickhouse)
    assert migrate(client, config.clickhouse) == []
    tables = {name for (name,) in client.execute(f"SHOW TABLES FROM {config.clickhouse.database}")}
    assert {
        "silver_trades",
        "ohlcv_1d",
        "ohlcv_1m_view",
        "bronze_trades_coinbase",
        "sink_positions",
    } <= tables


async def test_a_table_that_is_gone_is_made_again_without_positions(config, client, store):
    """At 1ee9d02 it was never made again: the worker's advice was to start it once more."""
    database, epoch = config.clickhouse.database, named("", 1, "a")
    other = ("ohlcv_1m", SourcePartition(GOLD.topic, 0))
    store.open({FIRST: SinkPosition(9, epoch=epoch), other: SinkPosition(7, epoch=epoch)})
    client.execute(f"DROP TABLE {database}.silver_trades")
    assert migrate(client, config.clickhouse) == []
    assert count(client, config, "silver_trades") == 0
    assert store.positions(SILVER) == {}
    assert store.positions(GOLD)[0].offset == 7
    client.execute(f"DROP TABLE {database}.sink_positions")
    migrate(client, config.clickhouse)
    assert store.positions(GOLD) == {}
    store.open({other: SinkPosition(5, epoch=epoch)})
    assert store.positions(GOLD)[0].epoch == epoch


async def test_every_value_arrives_as_it_was(config, client, store):
    rows = [
        trade(
            0,
            price=Decimal("99999999999999999999.999999999999999999"),
            quantity=Decimal("-0.000000000000000001"),
        ),
        trade(
            1,
            side="BUY",
            vendor_data=[("é" * 200, ""), ("b", "x")],
            trade_conditions=["a", ""],
            trade_count=7,
        ),
    ]
    sent = batch(piece(SILVER, rows))
    assert store.write(SILVER, sent) == 2
    names = SILVER.schema.names
    found = client.execute(
        f"SELECT {', '.join(names)} FROM {config.clickhouse.database}.silver_trades ORDER BY raw_offset"
    )
    expected = [
        {**row, "vendor_data": dict(row["vendor_data"])} for row in stored(sent.pieces[0].rows).to_pylist()
    ]
    assert [dict(zip(names, row, strict=True)) for row in found] == expected


async def test_a_batch_that_comes_again_adds_nothing(config, client, store):
    sent = batch(piece(SILVER, [trade(offset) for offset in range(100)]))
    store.write(SILVER, sent)
    store.write(SILVER, sent)
    assert count(client, config, "silver_trades") == 100


async def test_other_ranges_over_the_same_rows_collapse(config, client, store):
    store.write(SILVER, batch(piece(SILVER, [trade(offset) for offset in range(60)])))
    store.write(SILVER, batch(piece(SILVER, [trade(offset) for offset in range(40, 100)], first=40)))
    assert count(client, config, "silver_trades FINAL") == 100
    assert count(client, config, "silver_trades FINAL", "sum(raw_offset)") == sum(range(100))


async def test_thirteen_identical_kraken_trades_stay_thirteen(config, client, store):
    store.write(KRAKEN, batch(piece(KRAKEN, [native(offset) for offset in range(13)])))
    store.write(KRAKEN, batch(piece(KRAKEN, [native(offset) for offset in range(5, 13)], first=5)))
    client.execute(f"OPTIMIZE TABLE {config.clickhouse.database}.bronze_trades_kraken FINAL")
    assert count(client, config, "bronze_trades_kraken") == 13


async def test_gold_views_show_the_highest_revision(config, client, store):
    store.write(GOLD, batch(piece(GOLD, [candle(1, 1), candle(2, 1), candle(1, 3), candle(1, 2)])))
    store.write(GOLD, batch(piece(GOLD, [candle(2, 5, final=True), candle(1, 2)], first=4)))
    rows = client.execute(
        f"""SELECT toUnixTimestamp64Milli(open_time), revision, final
            FROM {config.clickhouse.database}.ohlcv_1m_view ORDER BY open_time"""
    )
    assert rows == [(60_000, 3, False), (120_000, 5, True)]


async def test_positions_only_go_forward_in_their_epoch(store):
    assert store.positions(SILVER) == {}
    old, new = named("", 1, "a"), named("", 2, "a")
    store.open({FIRST: SinkPosition(-1, epoch=old), SECOND: SinkPosition(-1, epoch=old, source="'s'\\")})
    saved = SinkPosition(9, {"kraken:0": 4, "binance:0": 7}, old)
    for _ in (1, 2):  # an answer was lost
        store.save({FIRST: Move(-1, saved), SECOND: Move(-1, SinkPosition(3, {}, old, "'s'\\"))})
    store.save(
        {FIRST: Move(4, SinkPosition(7, {"kraken:0": 2}, old))}
    )  # a worker that does not know it was replaced
    assert store.positions(SILVER) == {0: saved, 1: SinkPosition(3, {}, old, "'s'\\")}
    assert store.positions(KRAKEN) == {}
    store.open({FIRST: SinkPosition(5, {"kraken:0": 1}, new)})
    assert store.positions(SILVER)[0] == SinkPosition(5, {"kraken:0": 1}, new)
    with pytest.raises(WentBack) as refused:
        store.save({FIRST: Move(9, SinkPosition(12, epoch=old))})
    assert refused.value.found == {FIRST: SinkPosition(5, {"kraken:0": 1}, new)}
    assert store.positions(SILVER)[0].offset == 5


async def test_a_save_to_a_server_that_went_back_is_refused(config, client, store):
    """At 1ee9d02 it was saved over the position that came back: the rows between never came."""
    epoch = named("", 1, "a")
    store.open({FIRST: SinkPosition(-1, epoch=epoch)})
    store.save({FIRST: Move(-1, SinkPosition(9, epoch=epoch))})
    positions = f"{config.clickhouse.database}.sink_positions"
    client.execute(f"ALTER TABLE {positions} DELETE WHERE last_offset = 9 SETTINGS mutations_sync = 2")
    with pytest.raises(WentBack) as refused:
        store.save({FIRST: Move(9, SinkPosition(12, epoch=epoch))})
    assert refused.value.found == {FIRST: SinkPosition(-1, epoch=epoch)}
    client.execute(f"ALTER TABLE {positions} DELETE WHERE 1 SETTINGS mutations_sync = 2")
    with pytest.raises(WentBack) as refused:
        store.save({FIRST: Move(9, SinkPosition(12, epoch=epoch))})
    assert refused.value.found == {FIRST: None}
    assert store.positions(SILVER) == {}


async def test_a_table_is_filled_again_as_often_as_it_is_emptied(config, client, store):
    """At 1ee9d02 the second time the server took the same ranges for a retry: 0 of 624 rows, "durable"."""
    database = config.clickhouse.database
    for _ in range(3):
        progress = SinkProgress()
        progress.assign(FIRST[1], renamed(store.positions(SILVER).get(0, SinkPosition())))
        rows = piece(SILVER, [trade(offset) for offset in range(100)]).rows
        progress.put(FIRST[1], 0, 99, {}, rows, 100, None)
        sent = progress.take()
        for _ in (1, 2):
            store.write(SILVER, sent)
        assert count(client, config, "silver_trades") == 100
        for table in ("silver_trades", "sink_positions"):
            client.execute(f"ALTER TABLE {database}.{table} DELETE WHERE 1 SETTINGS mutations_sync = 2")


async def test_a_lost_database_stops_the_worker_with_advice(config, client, store):
    client.execute(f"DROP DATABASE {config.clickhouse.database}")
    with pytest.raises(
        ConfigError, match="start the worker again, it creates them and fills them from Kafka"
    ):
        store.write(SILVER, batch(piece(SILVER, [trade(0)])))


async def test_a_server_that_dies_gets_everything_once(running_stack, config, client, store):
    acknowledged, complete = [], asyncio.Event()

    async def earliest(partition):
        return 0

    async def go_back(offsets, between):
        raise AssertionError(f"nothing went back: {offsets}")

    policy = Policy(flush_seconds=0.01, max_rows=200, max_bytes=1 << 30, save_seconds=0.05)
    sink = Sink(store, policy, earliest, go_back)
    route = replace(KRAKEN, columns=lambda batch: rows_at(batch.offsets.tolist()).rows)
    running = asyncio.create_task(sink.run())

    async def produce():
        for first in range(0, 6000, 50):
            await sink.put(route, delivery(range(first, first + 50)), partial(acknowledge, first + 49))
            await asyncio.sleep(0.005)

    async def acknowledge(last):
        acknowledged.append(last)
        if last == 5999:
            complete.set()

    producing = asyncio.create_task(produce())
    await until(lambda: count(client, config, "bronze_trades_kraken") >= 500)
    os.kill(running_stack.children["clickhouse"].pid, signal.SIGKILL)
    await asyncio.sleep(0.5)
    await running_stack.restart("clickhouse")
    await producing
    async with asyncio.timeout(60):
        await complete.wait()
    assert acknowledged == list(range(49, 6000, 50))
    await sink.close()
    await running
    assert count(client, config, "bronze_trades_kraken FINAL") == 6000
    assert count(client, config, "bronze_trades_kraken FINAL", "uniqExact(raw_offset)") == 6000


def rows_at(offsets):
    return piece(KRAKEN, [native(offset) for offset in offsets], first=offsets[0])


def delivery(offsets):
    count = len(offsets)
    tp = TP(*rows_at(offsets).partition)
    return RecordBatch(tp, np.array(offsets), np.zeros(count, np.int64), [None] * count, [b""] * count)


async def test_away_is_told_in_one_line(config):
    store = ClickHouse(msgspec.structs.replace(config.clickhouse, port=1))
    with pytest.raises(DestinationUnavailable, match=r"^ClickHouse at 127\.0\.0\.1:1 is unavailable \("):
        store.positions(SILVER)


def worker(config, data_dir):
    """A hot worker as a process of its own."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("K2_")}
    environ |= settings.environment(settings.replace(config, data_dir=str(data_dir), sink_max_rows=1000))
    with (data_dir / "hot.log").open("a") as log:
        command = [sys.executable, "-m", "k2stream", "worker", "hot"]
        return subprocess.Popen(command, env=environ, stdout=log, stderr=log)


async def until(condition, within=60):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_a_killed_worker_and_a_wiped_database_lose_and_repeat_nothing(config, client, tmp_path):
    await creation.ensure_topics(config.kafka, topics.declared(config.kafka))
    topic, records = topics.raw("kraken"), 8_000
    mine = "connection = 'killed'"  # the topic may hold trades of other tests
    body = msgspec.json.encode(dict(list(native(0).items())[:7]))
    async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap, acks="all") as producer:
        now = time.time_ns() // 1000
        ends = await producer.partitions_for(topic)
        for number in range(records):
            value = raw.record(RawTrade("XBT/USD", body), now, "killed", number)
            await producer.send(topic, value, key=b"XBT/USD", partition=number % len(ends))
        await producer.flush()
    log = tmp_path / "hot.log"
    exact = "uniqExact(raw_partition, raw_offset)"  # rows that are inserted again collapse later

    def held():
        exists = client.execute(f"EXISTS {config.clickhouse.database}.bronze_trades_kraken")[0][0]
        return count(client, config, f"bronze_trades_kraken WHERE {mine}", exact) if exists else 0

    process = worker(config, tmp_path)
    try:
        await until(held)
        process.kill()
        process.wait()
        process = worker(config, tmp_path)
        await until(lambda: held() >= records and log.read_text().count("Worker ready") == 2)
        process.terminate()
        assert process.wait(20) == 0
        assert count(client, config, f"bronze_trades_kraken FINAL WHERE {mine}") == records
        assert count(client, config, f"bronze_trades_kraken WHERE {mine}", exact) == records

        client.execute(f"DROP DATABASE {config.clickhouse.database}")
        process = worker(config, tmp_path)
        await until(lambda: held() >= records)
        assert count(client, config, f"bronze_trades_kraken WHERE {mine}", exact) == records
    finally:
        process.kill()
        process.wait()
    assert "bronze_trades_kraken: market.crypto.trades.kraken.raw:0: the table lacks rows" in log.read_text()
