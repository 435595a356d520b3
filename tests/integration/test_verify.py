"""`k2 verify` finds what is made wrong in a platform's own stores and topics, beside feeds and after them.

In `make fault`, for it takes minutes: the short form is tests/unit/reconcile/oracle/test_compare.py.
"""

import io
import json

import fastavro
import pyarrow as pa
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from k2stream import topics
from k2stream.clickhouse.destination import connect
from k2stream.commands.demo import drain
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.lag import LagReader
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.running import Running
from k2stream.reconcile.oracle.raw_log import read_to_end, retained
from k2stream.reconcile.oracle.run import Report, verify
from k2stream.reconcile.settle import settle
from k2stream.resources import SCHEMAS
from k2stream.settings import load, make
from tests import kafka

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.asyncio(loop_scope="session")]

KINDS = ("lost", "doubled", "side", "time", "symbol", "price")
ENOUGH = 600  # canonical trades


Said = tuple[Report, list[str]]


class Found:
    """What verifications said, as text."""

    running: Said
    right: Said
    wrong: Said
    expired: Said

    def __init__(self, platform):
        self._platform = platform
        self.offsets = {}

    async def now(self, settled=None):
        report = await verify(self._platform.settings, self._platform.urls["candles"], settle=settled)
        return report, [str(item) for part in report.comparisons for item in part.differences]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def found(tmp_path_factory):
    given = make(
        data_dir=str(tmp_path_factory.mktemp("verify") / "data"),
        cache_dir=load().local.cache_dir,
        cold_commit_seconds=5.0,
    )
    async with Platform(given, Simulation(150, 5)) as platform:
        made = Found(platform)
        async with LagReader(platform.settings) as lags:
            while sum((await retained(platform.settings.kafka, topics.NORMALIZED))[0]) < ENOUGH:
                await lags.passed("k2-normalize", 1)
        running = Running(platform.settings, platform.urls, platform.refused)
        made.running = await made.now(lambda: settle(running))
        await platform.stop_feeds()
        await drain(platform)
        made.right = await made.now()
        for name in ("hot", "cold", "normalize"):
            await platform.workers[name].stop(10)
        await plant(platform.settings, made.offsets)
        made.wrong = await made.now()
        await expire(platform.settings, topics.NORMALIZED)
        made.expired = await made.now()
        yield made


async def test_beside_running_feeds_everything_is_compared(found):
    report, differences = found.running
    assert differences == []
    trades = {part.layer: part.compared for part in report.comparisons}
    assert trades["ClickHouse silver"] > 0.8 * ENOUGH
    assert all(trades[layer] for layer in trades if layer not in ("dead letters", "late topic"))


async def test_after_the_feeds_nothing_differs(found):
    report, differences = found.right
    assert differences == []
    assert not any(part.skipped for part in report.comparisons)


LAYERS = ("ClickHouse silver", "Iceberg silver", "ClickHouse bronze", "Iceberg bronze", "canonical topic")
FIELDS = {
    "silver": {"side": "side", "time": "timestamp", "symbol": "symbol", "price": "price"},
    "bronze": {"side": "m", "time": "E", "symbol": "s", "price": "p"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", LAYERS)
async def test_a_fault_of_each_kind_is_found_in_each_layer(found, layer, kind):
    _, differences = found.wrong
    where = f"{layer}: binance raw record 0:{found.offsets[kind]}: "
    mine = [item.removeprefix(where) for item in differences if item.startswith(where)]
    fields = FIELDS["bronze" if "bronze" in layer else "silver"]
    if layer == "canonical topic" and kind in ("lost", "doubled"):
        assert mine == []  # nothing leaves a topic but at its beginning, and a crash may bring it again
    elif kind == "lost":
        assert mine == ["row is missing, expected present"]
    elif kind == "doubled":
        assert "rows is 2, expected 1" in mine
    else:
        assert any(item.startswith(f"{fields[kind]} is ") for item in mine), mine


@pytest.mark.parametrize("layer", ["candle topics", "ClickHouse gold", "Iceberg gold"])
async def test_a_wrong_candle_is_found_in_each_layer(found, layer):
    _, differences = found.wrong
    mine = [item for item in differences if item.startswith(f"{layer}: binance BTCUSDT 1h candle")]
    assert any("high is " in item for item in mine)


async def test_a_letter_of_a_good_record_and_a_late_trade_that_was_not_are_found(found):
    _, differences = found.wrong
    assert any(
        item.startswith("dead letters: ") and "letter of hot is present" in item for item in differences
    )
    assert any(item.startswith("late topic: ") and "row is present" in item for item in differences)


async def test_what_the_canonical_topic_has_expired_is_not_missed(found):
    report, differences = found.expired
    assert not [item for item in differences if item.startswith("canonical topic: ") and "missing" in item]
    (topic,) = (part for part in report.comparisons if part.layer == "canonical topic")
    (silver,) = (part for part in report.comparisons if part.layer == "ClickHouse silver")
    assert 0 < topic.compared < silver.compared


async def plant(settings, offsets):
    """One fault of each kind in each layer, at `offsets` of Binance's raw topic."""
    client = connect(settings.clickhouse)
    rows = client.execute(
        f"""SELECT raw_offset FROM {settings.clickhouse.database}.silver_trades FINAL
        WHERE exchange = 'binance' AND symbol = 'BTCUSDT' ORDER BY raw_offset DESC LIMIT {len(KINDS)}"""
    )
    offsets.update(zip(KINDS, (offset for (offset,) in rows), strict=True))
    in_clickhouse(client, settings.clickhouse.database, offsets)
    client.disconnect()
    in_iceberg(open_catalog(settings.iceberg), offsets)
    await in_topics(settings, offsets)


def in_clickhouse(client, database, offsets):
    def run(table, statement):
        client.execute(f"ALTER TABLE {database}.{table} {statement} SETTINGS mutations_sync = 2")

    def again(table, kind, column, value):
        mine = "exchange = 'binance' AND " if table == "silver_trades" else ""
        client.execute(
            f"""INSERT INTO {database}.{table} SELECT * REPLACE ({value} AS {column})
            FROM {database}.{table} WHERE {mine}raw_offset = {offsets[kind]}"""
        )

    silver, bronze, mine = "silver_trades", "bronze_trades_binance", "exchange = 'binance' AND raw_offset ="
    again(silver, "doubled", "timestamp", "timestamp + toIntervalMicrosecond(1)")
    again(silver, "time", "timestamp", "timestamp + toIntervalMicrosecond(1)")
    run(silver, f"DELETE WHERE {mine} {offsets['time']} AND toUnixTimestamp64Micro(timestamp) % 10 = 0")
    run(silver, f"DELETE WHERE {mine} {offsets['lost']}")
    run(silver, f"UPDATE side = if(side = 'BUY', 'SELL', 'BUY') WHERE {mine} {offsets['side']}")
    run(silver, f"UPDATE symbol = 'X' WHERE {mine} {offsets['symbol']}")
    run(silver, f"UPDATE price = price + 1 WHERE {mine} {offsets['price']}")
    again(bronze, "doubled", "T", "T + 1")
    again(bronze, "symbol", "s", "'X'")
    run(bronze, f"DELETE WHERE raw_offset = {offsets['symbol']} AND s != 'X'")
    run(bronze, f"DELETE WHERE raw_offset = {offsets['lost']}")
    run(bronze, f"UPDATE m = NOT m WHERE raw_offset = {offsets['side']}")
    run(bronze, f"UPDATE E = E + 1 WHERE raw_offset = {offsets['time']}")
    run(bronze, f"UPDATE p = concat(p, '0') WHERE raw_offset = {offsets['price']}")
    run("ohlcv_1h", "UPDATE high = high + 1 WHERE exchange = 'binance' AND symbol = 'BTCUSDT'")


def in_iceberg(catalog, offsets):
    kinds = {offset: kind for kind, offset in offsets.items()}

    def planted(name, change):
        table = catalog.load_table(f"cold.{name}")
        before = table.scan().to_arrow()
        rows = [row for held in before.to_pylist() for row in change(held)]
        table.overwrite(pa.Table.from_pylist(rows, before.schema))

    def changed(row, side, time, symbol, price):
        kind = kinds.get(row["raw_offset"]) if row.get("exchange", "binance") == "binance" else None
        changes = {"side": side, "time": time, "symbol": symbol, "price": price}
        if kind == "lost":
            return []
        return [row, row] if kind == "doubled" else [row | changes.get(kind, dict)(row) if kind else row]

    def silver(row):
        return changed(
            row,
            lambda r: {"side": "SELL" if r["side"] == "BUY" else "BUY"},
            lambda r: {"timestamp": r["timestamp"].replace(microsecond=r["timestamp"].microsecond ^ 1)},
            lambda r: {"symbol": "X"},
            lambda r: {"price": r["price"] + 1},
        )

    def bronze(row):
        return changed(
            row,
            lambda r: {"m": not r["m"]},
            lambda r: {"event_time": r["event_time"] + 1},
            lambda r: {"s": "X"},
            lambda r: {"p": r["p"] + "0"},
        )

    planted("silver_trades", silver)
    planted("bronze_trades_binance", bronze)
    table = catalog.load_table("cold.gold_ohlcv_1h")
    before = table.scan().to_arrow()
    rows = before.to_pylist()
    mine = [row for row in rows if (row["exchange"], row["symbol"]) == ("binance", "BTCUSDT")]
    max(mine, key=lambda row: (row["open_time"], row["revision"]))["high"] += 1
    table.overwrite(pa.Table.from_pylist(rows, before.schema))


async def in_topics(settings, offsets):
    trade, candle = (
        json.loads((SCHEMAS / "avro" / f"{name}.avsc").read_text()) for name in ("trade", "candle")
    )
    kinds = {offset: kind for kind, offset in offsets.items()}
    changes = {
        "side": lambda r: {"side": "SELL" if r["side"] == "BUY" else "BUY"},
        "time": lambda r: {"timestamp": r["timestamp"].replace(microsecond=r["timestamp"].microsecond ^ 1)},
        "symbol": lambda r: {"symbol": "X"},
        "price": lambda r: {"price": r["price"] + 1},
    }
    async with AIOKafkaProducer(**settings.kafka.connection) as producer:
        async for partition, records in read_to_end(settings.kafka, topics.NORMALIZED):
            for record in records:
                fields = decoded(record.value, trade)
                kind = kinds.get(fields["raw_offset"]) if fields["exchange"] == "binance" else None
                if kind in changes:
                    value = encoded(record.value, fields | changes[kind](fields), trade)
                    await producer.send_and_wait(record.topic, value, record.key, partition)
                if kind == "lost":
                    await producer.send_and_wait(topics.LATE, record.value, record.key)
        newest = {}
        async for partition, records in read_to_end(settings.kafka, topics.ohlcv("1h")):
            for record in records:
                fields = decoded(record.value, candle)
                if (fields["exchange"], fields["symbol"]) == ("binance", "BTCUSDT"):
                    newest = {"at": (record, partition), "fields": fields}
        (record, partition), fields = newest["at"], newest["fields"]
        fields |= {"high": fields["high"] + 1, "revision": fields["revision"] + 1}
        value = encoded(record.value, fields, candle)
        await producer.send_and_wait(record.topic, value, record.key, partition)
        letter = {"cause": "none", "exchange": "binance", "time": 1, "original": "e30=", "stage": "hot"}
        letter |= {"topic": topics.raw("binance"), "partition": 0, "offset": offsets["side"]}
        await producer.send_and_wait(topics.DLQ, json.dumps(letter).encode(), b"x")


def decoded(value, schema):
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)


def encoded(before, fields, schema):
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, fields)
    return before[:5] + body.getvalue()


async def expire(settings, topic):
    """Half of a topic's records are gone, as after 48 hours."""
    end = (await retained(settings.kafka, topic))[0].end
    await kafka.expire(settings.kafka.bootstrap, topic, 0, end // 2)
