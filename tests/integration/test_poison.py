"""Records that are none, on every topic that a sink reads: a letter each, and the worker goes on."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from k2stream import settings, topics
from k2stream.clickhouse.destination import connect
from k2stream.deadletter import DeadLetter
from k2stream.embedded.ports import free_port
from k2stream.kafka import creation
from k2stream.kafka.reader import Reader
from k2stream.layers.gold import ROUTES as GOLD
from tests.integration.partitions import TWO

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

POISON = (b"hello", None, b"\0\0\0\x12\x67" + b"x" * 90)
READ = {
    topics.raw("kraken"): "bronze_trades_kraken",
    topics.NORMALIZED: "silver_trades",
    topics.ohlcv("1d"): GOLD[5].table,
}


async def letters(config):
    async with Reader(config.kafka) as reader:
        log = reader.read(topics.DLQ, await reader.retained(topics.DLQ, 1))
        return [msgspec.json.decode(record.value, type=DeadLetter) async for record in log]


def worker(config, path):
    environ = {key: value for key, value in os.environ.items() if not key.startswith("K2_")}
    command = [sys.executable, "-m", "k2stream", "worker", "hot"]
    with path.open("w") as log:
        return subprocess.Popen(command, env=environ | settings.environment(config), stdout=log, stderr=log)


def held(client):
    """The last offset saved, by table."""
    if not client.execute("EXISTS poison.sink_positions")[0][0]:
        return {}
    saved = "SELECT table, max(last_offset) FROM poison.sink_positions WHERE partition = 0 GROUP BY table"
    return dict(client.execute(saved))


async def test_the_hot_worker_dead_letters_what_it_cannot_read_and_goes_on(stack, tmp_path):
    config = settings.make(
        kafka_bootstrap=stack.bootstrap,
        registry_url=stack.registry_url,
        clickhouse_port=stack.clickhouse_port,
        clickhouse_database="poison",
        data_dir=str(tmp_path),
        web_port=free_port(),
        **TWO,
    )
    await creation.ensure_topics(config.kafka, topics.declared(config.kafka))
    places = {}
    async with AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap) as producer:
        for topic, table in READ.items():
            for value in POISON:
                sent = await producer.send_and_wait(topic, value, b"kraken:BTC/USD", partition=0)
                places[table, sent.offset] = value or b""
    log = tmp_path / "hot.log"
    process = worker(config, log)
    try:
        client = connect(config.clickhouse)
        deadline = time.monotonic() + 60
        while not all(offset <= held(client).get(table, -1) for table, offset in places):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            await asyncio.sleep(0.1)
        client.execute("DROP DATABASE poison")
        client.disconnect()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    mine = [one for one in await letters(config) if one.stage == "hot" and (one.reader, one.offset) in places]
    assert {(one.reader, one.offset): one.original_bytes for one in mine} == places
    assert len(mine) == len(places)
