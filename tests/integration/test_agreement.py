"""The certify worker compares final candles with an exchange's REST server, killed while it does.

Minutes of trading are over when it starts: the clock of the exchange is in the past of ours.
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from k2stream import topics
from k2stream.avro import candles, registry
from k2stream.batch import TP, RecordBatch
from k2stream.cli import main
from k2stream.clickhouse.destination import ClickHouse
from k2stream.kafka.creation import ensure_topics
from k2stream.layers import kline_checks
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES, Candle
from k2stream.model.kline_checks import Agreement, KlineCheck
from k2stream.settings import environment
from k2stream.simulator.rest.klines import MISSING, WRONG
from tests import kafka
from tests.integration.partitions import settings_on
from tests.integration.sink_samples import batch, piece
from tests.unit.agreement.kit import SimulatedPast

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

GROUP = "k2-certify"
SCALE = 10**18
NOWHERE = "127.0.0.1:1"


@asynccontextmanager
async def worker(settings, log):
    """A certify worker process."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "k2stream", "worker", "certify"),
            env=os.environ | environment(settings), stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def pass_over(settings):
    """Commit what other tests left in the topics that the role reads."""
    for topic in (topics.NORMALIZED, *map(topics.ohlcv, TIMEFRAMES)):
        tps = kafka.partitions(topic, settings.kafka.normalized_partitions)
        async with kafka.consuming(settings.kafka.bootstrap, tps, GROUP) as consumer:
            await consumer.commit(await consumer.end_offsets(tps))


async def publish(settings, finals):
    """Publish final candles as the candles worker does."""
    ids = {
        timeframe: await registry.register(topics.ohlcv(timeframe), "candle", settings.kafka.registry)
        for timeframe in TIMEFRAMES
    }
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        for candle in finals:
            row = [
                int(value * SCALE) if name in candles.DECIMALS else value
                for name, value in zip(Candle._fields, candle, strict=True)
            ]
            key = f"{candle.exchange}:{candle.canonical_symbol}".encode()
            value = candles.encode(row, ids[candle.timeframe])
            await producer.send_and_wait(topics.ohlcv(candle.timeframe), value, key, partition=0)


async def checks_of(settings, exchange):
    """What was found of an exchange's candles, the last one of each."""
    partitions = settings.kafka.normalized_partitions
    found = await kafka.read(settings.kafka.bootstrap, topics.KLINE_CHECKS, partitions)
    checks = [
        msgspec.json.decode(record.value, type=KlineCheck)
        for records in found.values()
        for record in records
        if record.key.startswith(f"{exchange}:".encode())
    ]
    return {(check.symbol, check.timeframe, check.open_time): check for check in checks}, found


async def test_a_killed_worker_finds_every_wrong_kline_and_k2_agree_shows_them(stack, tmp_path, monkeypatch):
    past = SimulatedPast("binance", minutes=12, symbols=2)
    past.klines.disturb(WRONG, "", 3)
    past.klines.disturb(MISSING, past.listed[1].symbol, 1)
    finals = past.candles()
    async with past.serving() as server:
        urls = {f"{name}_ws_url": f"ws://{NOWHERE}" for name in topics.EXCHANGES}
        urls |= {f"{name}_rest_url": f"http://{NOWHERE}" for name in topics.EXCHANGES}
        settings = settings_on(
            stack,
            tmp_path,
            **{**urls, "binance_rest_url": server.url},
            clickhouse_port=stack.clickhouse_port,
            agreement_delay_seconds=1.0,
            agreement_requests_per_minute=600,
            clickhouse_database="agreement",
        )
        await ensure_topics(settings.kafka, topics.declared(settings.kafka))
        await pass_over(settings)
        await publish(settings, finals)
        log = tmp_path / "certify.log"
        async with worker(settings, log) as first, asyncio.timeout(60):
            while not (await checks_of(settings, "binance"))[0]:
                assert first.returncode is None, log.read_text()
        async with worker(settings, log) as second, asyncio.timeout(60):
            while len((await checks_of(settings, "binance"))[0]) < len(finals):
                assert second.returncode is None, log.read_text()
    checks, records = await checks_of(settings, "binance")
    assert len(checks) == len(finals)
    wrong = {
        (entry["symbol"], entry["minutes"] * 60_000, entry["open_time"]): entry["field"]
        for entry in past.log
        if entry["kind"] == WRONG
    }
    different = {
        (check.symbol, TIMEFRAMES[check.timeframe], check.open_time): check.fields
        for check in checks.values()
        if check.status is Agreement.DIFFERENT
    }
    assert different == {at: (field,) for at, field in wrong.items()} and len(different) == 3

    counted = store(settings, records)
    monkeypatch.setattr("k2stream.commands.agree.current", lambda: settings)
    hours = (clock.now_us() - past.now) // 3_600_000_000 + 3
    shown = CliRunner().invoke(main, ["agree", "--hours", str(hours), "--differences", "--json"])
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    by_timeframe = {row["timeframe"]: row for row in told["agreement"] if row["exchange"] == "binance"}
    assert sum(row["checked"] for row in by_timeframe.values()) == counted == len(finals)
    assert sum(row["different"] for row in by_timeframe.values()) == 3
    assert {(each["symbol"], each["open_time"]) for each in told["differences"]} == {
        (symbol, opened) for symbol, _, opened in wrong
    }
    assert {line for each in told["differences"] for line in each["explanation"]} == {
        "the trades of this window are not in ClickHouse any more"
    }


def store(settings, records):
    """Write the records as the hot sink does, one delivery twice; returns how many candles there are."""
    sink = ClickHouse(settings.clickhouse)
    try:
        sink.prepare([])
        mine = [
            record for found in records.values() for record in found if record.key.startswith(b"binance:")
        ]
        rows = kline_checks.columns(
            RecordBatch.from_records(TP(topics.KLINE_CHECKS, 0), sorted(mine, key=lambda item: item.offset))
        )
        delivery = piece(kline_checks.ROUTE, rows.drop_columns(["_offset"]).to_pylist())
        for _ in range(2):
            sink.write(kline_checks.ROUTE, batch(delivery))
    finally:
        sink.close()
    return len({(row["symbol"], row["timeframe"], row["open_time"]) for row in rows.to_pylist()})
