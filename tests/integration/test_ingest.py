"""The ingest worker on a simulated exchange: every trade reaches the raw topic once, whatever Kafka does."""

import asyncio
import json
import os
import sys

import pytest

from k2stream import instruments, topics
from k2stream.kafka.creation import ensure_topics
from k2stream.settings import Settings, environment, make
from k2stream.simulator import Options, Simulator
from tests import kafka
from tests.integration.partitions import TWO

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

FAILING = """
import sys
from k2stream.agents import ingest

async def publish(self, columns):
    raise RuntimeError("no such broker")

ingest.WorkerPublisher.publish = publish
sys.argv = ["faust", "-A", "k2stream.agents.ingest", "worker"]
from faust.cli.faust import cli
cli.main(args=sys.argv[1:])
"""


@pytest.fixture
def worker_environment(running_stack, tmp_path):
    def environment_of(exchange, url):
        settings = make(
            exchange=exchange,
            kafka_bootstrap=running_stack.endpoints.bootstrap,
            data_dir=str(tmp_path),
            simulated=True,
            **TWO,
            **{f"{exchange}_ws_url": url},
        )
        return {**os.environ, **environment(settings)}

    return environment_of


def simulator(exchange, rate):
    listed = instruments.load(Settings().feeds.instruments_file).for_exchange(exchange)
    return Simulator(listed, Options(rate=rate))


async def until(condition, seconds=60):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_broker_that_dies_costs_no_trade_and_doubles_none(running_stack, worker_environment):
    exchange = "coinbase"
    bootstrap = running_stack.endpoints.bootstrap
    starts = await raw_ends(make(kafka_bootstrap=bootstrap, **TWO), exchange)
    async with simulator(exchange, 500) as simulated:
        counts = simulated.venues[exchange].counts
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "k2stream", "worker", "ingest"),
            env=worker_environment(exchange, simulated.urls[exchange]),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: counts.sent_trades > 500)
            running_stack.children["kafka"]._process.kill()
            before = counts.sent_trades
            await until(lambda: counts.sent_trades > before + 500)
            await running_stack.restart("kafka")
            before = counts.sent_trades
            await until(lambda: counts.sent_trades > before + 500)
            simulated.stop_trading()
            expected = counts.sent_trades + counts.snapshot_trades
            records = await read(bootstrap, exchange, starts, expected)
        finally:
            worker.terminate()
            code = await worker.wait()
        assert code == 0
        assert counts.connections == 1
    assert len(records) == expected
    assert sorted(record["k2_seq"] for record in records) == list(range(expected))


async def read(bootstrap, exchange, starts, expected):
    """The raw records from `starts` on, once as many as expected are there; more show up as well."""
    async with kafka.consuming(bootstrap, starts) as consumer:
        for partition, offset in starts.items():
            consumer.seek(partition, offset)
        records = []
        async with asyncio.timeout(60):
            while len(records) < expected or await unread(consumer, starts):
                for messages in (await consumer.getmany(timeout_ms=200)).values():
                    records += [json.loads(message.value) for message in messages]
        return records


async def unread(consumer, partitions):
    ends = await consumer.end_offsets(list(partitions))
    return any([await consumer.position(partition) < end for partition, end in ends.items()])


async def raw_ends(settings, exchange):
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    tps = kafka.partitions(topics.raw(exchange), settings.kafka.raw_partitions(exchange))
    async with kafka.consuming(settings.kafka.bootstrap, tps) as consumer:
        return await consumer.end_offsets(tps)


async def test_a_publish_that_fails_ends_the_worker(worker_environment):
    async with simulator("kraken", 200) as simulated:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FAILING),
            env=worker_environment("kraken", simulated.urls["kraken"]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                output, _ = await worker.communicate()
        finally:
            if worker.returncode is None:
                worker.kill()
        assert worker.returncode != 0
        assert b"no such broker" in output
