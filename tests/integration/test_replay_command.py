"""`k2 replay`: what it rebuilds is what is there, and takes its place where it is not."""

import asyncio
import os
import sys
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from k2stream import topics
from k2stream.batch._changes import RESERVED
from k2stream.candles.codec import dumps_state, loads_state
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.commands.demo import drain
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.fresh import FRESH, fresh_name
from k2stream.iceberg.tables import TABLES
from k2stream.kafka.lag import LagReader
from k2stream.kafka.reader import Reader
from k2stream.layers import silver
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import ConfigError
from k2stream.platform.platform import WORKERS, Platform, Simulation
from k2stream.platform.scrape import scrape
from k2stream.reconcile.oracle.run import verify
from k2stream.replay import run, swap
from k2stream.replay.tiers import Tiers
from k2stream.settings import environment, load, make
from tests import kafka
from tests.fault.platforms import recovered, until
from tests.integration.partitions import TWO
from tests.integration.sink_samples import batch, piece, trade

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

REACHED = {
    "silver_trades": {SourcePartition(topics.NORMALIZED, 0): SinkPosition(41, {"kraken:0": 17})},
    **{
        f"bronze_trades_{name}": {SourcePartition(topics.raw(name), 0): SinkPosition(17)}
        for name in topics.EXCHANGES
    },
    **{f"ohlcv_{name}": {SourcePartition(topics.ohlcv(name), 0): SinkPosition(5)} for name in TIMEFRAMES},
}
COLD = {table.layer_table.hot: table.route for table in TABLES.values()}


@pytest.fixture
def settings(stack, tmp_path):
    return make(clickhouse_port=stack.clickhouse_port, clickhouse_database="replayed", data_dir=str(tmp_path))


@pytest_asyncio.fixture(loop_scope="session")
async def tiers(settings):
    tiers = Tiers.from_settings(settings)
    yield tiers
    for tier in tiers:
        tier.drop()
    tiers[0].client.execute(f"DROP DATABASE {tiers[0].live}")
    tiers[0].close()


def prices(settings):
    """Of the live silver, hot and cold."""
    hot = connect(settings.clickhouse).execute(
        f"SELECT price FROM {settings.clickhouse.database}.silver_trades FINAL"
    )
    cold = (
        open_catalog(settings.iceberg).load_table("cold.silver_trades").scan().to_arrow()["price"].to_pylist()
    )
    return [str(price.normalize()) for (price,) in hot], [str(price.normalize()) for price in cold]


async def test_layers_change_places_and_the_sinks_go_on_from_them(settings, tiers):
    _, cold = tiers
    for tier in tiers:
        tier.create()
    sinks: dict[Any, Route] = {
        ClickHouse(settings.clickhouse): silver.ROUTE,
        Iceberg(settings.iceberg): COLD["silver_trades"],
    }
    for sink, route in sinks.items():
        key = (route.table, SourcePartition(route.topic, 0))
        sink.open({key: SinkPosition(29)})
        sink.write(route, batch(piece(silver.ROUTE, [trade(3, price=1)], first=30)))
        sink.open({key: SinkPosition(30)})
    rows = piece(silver.ROUTE, [trade(3, price=2), trade(4, price=3)]).rows
    for tier in tiers:
        tier.write(silver.ROUTE.table, rows)
    with pytest.raises(ConfigError, match="has nothing to swap in"):
        await swap.exchange(tiers)
    assert prices(settings) == (["1"], ["1"])

    for tier in tiers:
        tier.save(REACHED)
    await swap.exchange(tiers)
    assert prices(settings) == (["2", "3"], ["2", "3"])
    for sink, route in sinks.items():
        (position,) = sink.positions(route).values()
        assert position == SinkPosition(41, {"kraken:0": 17}, position.epoch)
        assert position.epoch  # the rows are not those that the sink knew
    locations = {cold.catalog.load_table(name).location() for name in TABLES}

    await swap.exchange(tiers)
    assert prices(settings) == (["1"], ["1"])
    for sink, route in sinks.items():
        assert sink.positions(route) == {0: SinkPosition(30)}
    await swap.exchange(tiers)
    for tier in tiers:
        tier.create()  # the old layers go, their folders with them
    assert prices(settings) == (["2", "3"], ["2", "3"])
    fresh = {cold.catalog.load_table(fresh_name(name)).location() for name in TABLES}
    assert not fresh & locations


async def test_an_exchange_that_was_killed_between_two_names_is_mended(settings, tiers):
    _, cold = tiers
    for tier in tiers:
        tier.create()
    for name in ("cold.silver_trades", "cold.gold_ohlcv_1m"):
        cold.catalog.rename_table(name, fresh_name(name) + "_exchanged")
    cold.catalog.rename_table(fresh_name("cold.silver_trades"), "cold.silver_trades")
    cold.drop()
    assert {f"{space}.{name}" for space, name in cold.catalog.list_tables("cold")} == set(TABLES)
    assert not cold.catalog.namespace_exists(FRESH)


# The whole of it, on a platform of its own


async def k2(settings, *arguments):
    """Exit status of a command, and what it says."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("K2_") or "CACHE" in key}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "k2stream", *arguments),
        env=environ | environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def rebuilt(settings, batch_records):
    """Rebuilt silver and gold of both tiers, as bytes."""
    tiers = Tiers.from_settings(settings)
    hot, cold = tiers
    await run.rebuild(settings, tiers, "auto", print, batch_records=batch_records)
    found = {}
    for hot_name, route in COLD.items():
        if "bronze" not in hot_name:
            rows = cold.catalog.load_table(fresh_name(route.table)).scan().to_arrow()
            found[route.table] = msgspec.json.encode(rows.to_pylist())
            columns = hot.client.execute(f"SELECT * FROM {hot.fresh}.{hot_name} FINAL ORDER BY ALL")
            found[hot_name] = repr(columns).encode()
    hot.close()
    return found


async def stop(platform):
    await asyncio.gather(*(child.stop(10) for child in platform.workers.values()))


async def start(platform):
    for spec in WORKERS:
        await platform._start_worker(spec)
    await recovered(platform)


async def more_trades(platform, count):
    """What the exchanges go on with: each has traded some more."""
    await platform.start_feeds()
    async with httpx.AsyncClient(base_url=platform.control_url) as client:

        async def made():
            exchanges = (await client.get("/stats")).json()["exchanges"]
            return {name: counts["generated_trades"] for name, counts in exchanges.items()}

        before = await made()

        async def grown():
            return all(now >= before[name] + count for name, now in (await made()).items())

        await until(grown, 60, "more trades")
    await platform.stop_feeds()


async def damage(settings):
    """Change a row of silver, a candle of gold and an entry of a candle table."""
    client = connect(settings.clickhouse)
    database = settings.clickhouse.database
    for table, value in (("silver_trades", "quantity"), ("ohlcv_1m", "close")):
        identity = "raw_partition, raw_offset, exchange, canonical_symbol"
        row = client.execute(f"SELECT {identity} FROM {database}.{table} FINAL ORDER BY {identity} LIMIT 1")
        where = " AND ".join(
            f"{name} = {value!r}" for name, value in zip(identity.split(", "), row[0], strict=True)
        )
        client.execute(
            f"ALTER TABLE {database}.{table} UPDATE {value} = {value} + 1 WHERE {where}",
            settings={"mutations_sync": 2},
        )
    changelog = "k2-candles-ohlcv_1m-changelog"
    async with Reader(settings.kafka) as reader:
        held = await reader.retained(changelog, settings.kafka.normalized_partitions)
        entries = [record async for record in reader.read(changelog, held)]
        record = [record for record in entries if not record.key.startswith(RESERVED)][-1]
    wrong = msgspec.structs.replace(loads_state(record.value), high=10**30, raw_offset=10**9)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        await producer.send_and_wait(changelog, dumps_state(wrong), record.key, partition=record.partition)


async def expire(settings, topic, number, offset):
    await kafka.expire(settings.kafka.bootstrap, topic, number, offset)


@pytest.mark.fault
async def test_a_replay_repairs_what_was_damaged_and_the_workers_go_on_exactly(tmp_path):
    given = make(data_dir=str(tmp_path / "data"), cache_dir=load().local.cache_dir, **TWO)
    async with Platform(given, Simulation(300, 3)) as platform:
        await asyncio.sleep(8)
        status, said = await k2(given, "replay")
        assert status == 0, said
        for options in (("--swap", "--yes"), ("--undo",)):
            status, said = await k2(given, "replay", *options)
            assert status == 1
            assert "stop the workers first" in said
        await platform.stop_feeds()
        await drain(platform)
        await stop(platform)
        reached = platform.settings
        assert await rebuilt(reached, 997) == await rebuilt(reached, run.BATCH_RECORDS)

        await damage(reached)
        status, said = await k2(given, "replay", "--swap", "--yes")
        assert status == 0
        rows = said.partition("layer ")[2].splitlines()[1:]
        wrong = [line.split()[:2] for line in rows if not line.startswith(" ") and line.endswith(" 1")]
        assert wrong == [["table", "ohlcv_1m"], ["ClickHouse", "silver_trades"], ["ClickHouse", "ohlcv_1m"]]
        assert "\n3 differences\nswapped" in said
        status, said = await k2(given, "replay")
        assert status == 0, said

        await start(platform)
        await more_trades(platform, 50)
        await drain(platform)
        report = await verify(reached, platform.urls["candles"])
        assert not report.differences, [str(item) for part in report.comparisons for item in part.differences]
        assert report.candles > 0

        await stop(platform)
        async with Reader(reached.kafka) as reader:
            ends = await reader.retained(topics.raw("binance"), 2)
        await expire(reached, topics.raw("binance"), 0, ends[0][1] // 2)
        await expire(reached, topics.raw("binance"), 1, ends[1][1])
        for origin in ("auto", "cold"):
            status, said = await k2(given, "replay", "--from", origin)
            assert status == 0, said
            assert f"rebuilt from {sum(counts['raw'] for counts in report.counts.values()):,} raw" in said
        status, said = await k2(given, "replay", "--from", "topics")
        assert status == 1
        assert "begins at offset" in said
        status, said = await k2(given, "replay", "--swap", "--yes")
        assert status == 0, said
        await start(platform)
        await more_trades(platform, 10)
        await drain(platform)
        status, said = await k2(given, "replay")
        assert status == 0, said
        status, said = await k2(given, "replay", "--drop")
        assert status == 0, said
        assert not open_catalog(reached.iceberg).namespace_exists(FRESH)


@pytest.mark.fault
async def test_what_expired_before_a_sink_read_it_is_reported_and_filled_by_a_replay(tmp_path):
    """Retention overtakes hot in the canonical topic: its rows are made again of the raw ones."""
    often = {"cold_commit_seconds": 5.0, **TWO}
    given = make(data_dir=str(tmp_path / "data"), cache_dir=load().local.cache_dir, **often)
    async with Platform(given, Simulation(300, 3)) as platform:
        reached = platform.settings
        await asyncio.sleep(8)
        await platform.workers["hot"].stop(10)
        await asyncio.sleep(4)
        await platform.stop_feeds()
        async with LagReader(reached) as lags:
            for group in ("k2-normalize", "k2-candles", "k2-cold"):
                assert await lags.passed(group, 60), group
        async with Reader(reached.kafka) as reader:
            ends = await reader.retained(topics.NORMALIZED, reached.kafka.normalized_partitions)
        for number, (_, end) in ends.items():
            await expire(reached, topics.NORMALIZED, number, end)
        await platform._start_worker(next(spec for spec in WORKERS if spec.role == "hot"))
        await more_trades(platform, 20)  # a position moves with the next record
        await drain(platform)
        log = platform._log("hot").read_text()
        assert "have expired and were never read; `k2 replay --swap` fills the tables" in log
        expired = (await scrape({"hot": platform.urls["hot"]}, platform.settings.worker)).get(
            "k2_expired_stretches_total"
        )
        assert expired > 0
        found = await verify(reached, platform.urls["candles"])
        assert found.differences > 0

        await stop(platform)
        status, said = await k2(given, "replay", "--swap", "--yes")
        assert status == 0, said
        await start(platform)
        await drain(platform)
        report = await verify(reached, platform.urls["candles"])
        assert not report.differences, [str(item) for part in report.comparisons for item in part.differences]
