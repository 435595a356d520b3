"""What notebooks read equals what the trades give, digit for digit, from each store and from both."""

import asyncio
import random
import time
from decimal import Decimal
from itertools import groupby, pairwise
from threading import Thread

import pyarrow as pa
import pytest

import k2stream
from k2stream import instruments, settings
from k2stream.clickhouse.candles import HotTier
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.history.derive import base_span, derived
from k2stream.history.reader import candle_history
from k2stream.iceberg.candles import ColdTier
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.tables import TABLES
from k2stream.layers import gold
from k2stream.layers.table import GOLD
from k2stream.model.candle import TIMEFRAMES
from k2stream.read.notes import IncompleteRead
from k2stream.service.application import create
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.web.health import FeedHealth
from tests.integration.sink_samples import SILVER, batch, piece, trade
from tests.unit.history.test_fold import candle

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = (time.time_ns() // 1_000_000 // DAY - 20) * DAY
"""Past, and young enough for ClickHouse to keep the trades."""

SINCE, UNTIL = START + 5 * DAY, START + 8 * DAY
"""ClickHouse has what is not before the first, Iceberg what is before the second."""

WINDOWS = {
    ("1m", "UTC"): (MINUTE, 0),
    ("4h", "UTC"): (4 * HOUR, 0),
    ("1w", "UTC"): (7 * DAY, 4 * DAY),
    ("1d", "Asia/Tokyo"): (DAY, -9 * HOUR),
}
"""The length of each timeframe's windows, and where one of them opens."""


@pytest.fixture(scope="module")
def trades():
    """(ms, price, quantity, taker bought), of digits that no float holds."""
    draw = random.Random(15)
    times = sorted(draw.sample(range(START, START + 12 * DAY), 400))
    return [
        (at, Decimal(draw.randrange(1, 10**12)).scaleb(-6), Decimal(draw.randrange(1, 10**18)).scaleb(-12),
         draw.random() < 0.5)
        for at in times
    ]  # fmt: skip


def windows(trades, length, phase):
    """The trades of each window, by its open time."""
    return [
        (opened, list(inside))
        for opened, inside in groupby(trades, key=lambda t: t[0] - (t[0] - phase) % length)
    ]


def stored(trades, name):
    """Candles of a stored timeframe, as the sinks get them."""
    length = TIMEFRAMES[name]
    return [candle(name, opened, opened + length, inside) for opened, inside in windows(trades, length, 0)]


def gold_rows(route, candles, first=0):
    units = {"open_time": "ms", "close_time": "ms", "first_trade_time": "us", "last_trade_time": "us"}
    made = [
        held._asdict()
        | {
            name: pa.scalar(getattr(held, name), pa.timestamp(unit, "UTC")).as_py()
            for name, unit in units.items()
        }
        for held in candles
    ]
    return batch(piece(route, made, first=first))


def silver_rows(route, trades, offset):
    return batch(
        piece(route, [silver(number, *held) for number, held in enumerate(trades, offset)], first=offset)
    )


def silver(number, at, price, quantity, bought):
    return trade(
        number,
        timestamp=pa.scalar(at, pa.timestamp("ms", "UTC")).as_py(),
        exchange="binance", symbol="BTCUSDT", canonical_symbol="BTC/USDT", trade_id=f"BINANCE-{number}",
        price=price, quantity=quantity, side="BUY" if bought else "SELL",
    )  # fmt: skip


@pytest.fixture(scope="module")
def config(stack, trades, tmp_path_factory):
    """Settings of both stores, which share three days; some of these are older revisions in Iceberg."""
    config = settings.make(
        clickhouse_port=stack.clickhouse_port,
        clickhouse_database="reading",
        data_dir=str(tmp_path_factory.mktemp("reading")),
    )
    hot, cold = ClickHouse(config.clickhouse), Iceberg(config.iceberg)
    hot.prepare([])
    silver_cold = TABLES["cold.silver_trades"].route
    gold_cold = {name: TABLES[GOLD[name].cold].route for name in TIMEFRAMES}
    cold.prepare([silver_cold, *gold_cold.values()])
    count = sum(at < SINCE for at, *_ in trades)
    hot.write(SILVER, silver_rows(SILVER, trades[count:], count))
    cold.write(silver_cold, silver_rows(silver_cold, [held for held in trades if held[0] < UNTIL], 0))
    for route, name in zip(gold.ROUTES, TIMEFRAMES, strict=True):
        candles = stored(trades, name)
        hot.write(route, gold_rows(route, [held for held in candles if held.open_time >= SINCE]))
        held = [held for held in candles if held.open_time < UNTIL]
        older = [c._replace(revision=1, close=Decimal(1)) if c.open_time > SINCE + DAY else c for c in held]
        cold.write(gold_cold[name], gold_rows(gold_cold[name], older))
    yield config
    client = connect(config.clickhouse)
    client.execute("DROP DATABASE reading")
    client.disconnect()
    hot.close()


class Tables:
    """The newest candles, as a worker's tables have them, before those of both stores."""

    def __init__(self, config, trades):
        self.history = candle_history(config.candles, HotTier(config.clickhouse), ColdTier(config.iceberg))
        self.settled = config.candles.settled_ms
        self.held = {
            name: {held.open_time: held for held in stored(trades, name) if held.open_time >= UNTIL + DAY}
            for name in TIMEFRAMES
        }

    def newest(self, instrument, timeframe):
        """Nothing: here are no states."""

    async def read(self, instrument, of, query):
        span = base_span(of, query.span)
        held = self.held[of.base]
        found = await self.history.extended(instrument, of.base, span, span.cut(held), min(held))
        now = time.time_ns() // 1_000_000
        return found._replace(candles=derived(of, query.span, found.candles, now, self.settled))


@pytest.fixture(scope="module")
def url(config, trades):
    """Of the service over the tables and both stores."""
    health = FeedHealth()
    health.ready = True
    listed = instruments.load(config.feeds.instruments_file)
    server = Server(
        create(Sources(config, listed, Tables(config, trades), health, lambda: True)), "127.0.0.1", 0
    )
    server.bind()
    loop = asyncio.new_event_loop()
    running = loop.create_task(server.run())
    thread = Thread(target=lambda: loop.run_until_complete(asyncio.wait([running])))
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    loop.call_soon_threadsafe(running.cancel)
    thread.join()
    loop.close()


def found(table):
    """Rows with times as numbers, each as a dict."""
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(number, field.name, table[field.name].cast(pa.int64()))
    return table.to_pylist()


@pytest.mark.parametrize(("timeframe", "tz"), WINDOWS)
@pytest.mark.parametrize("over", ["REST", "lake"])
async def test_candles_equal_those_of_the_trades(config, trades, url, timeframe, tz, over):
    where = {"url": url} if over == "REST" else {"settings": config}
    length, phase = WINDOWS[timeframe, tz]
    made = [
        candle(timeframe, opened, opened + length, inside)
        for opened, inside in windows(trades, length, phase)
    ]
    table = k2stream.read_candles("binance", "btc-usdt", timeframe, tz=tz, quality=True, **where)
    wanted = [held._asdict() for held in made]
    assert [{name: row[name] for name in row if name in wanted[0]} for row in found(table)] == [
        {name: row[name] for name in wanted[0] if name in table.column_names} for row in wanted
    ]
    assert table.schema.field("open").type == pa.decimal128(38, 18)
    assert table.schema.field("open_time").type == pa.timestamp("ms", "UTC")
    assert table.schema.field("last_trade_time").type == pa.timestamp("us", "UTC")
    assert set(table["feed_healthy"].to_pylist()) == {True if over == "REST" else None}
    gaps = [(b.open_time - a.open_time) // length - 1 for a, b in pairwise(made)]
    assert table["empty_before"].to_pylist() == [None, *gaps]
    part = k2stream.read_candles(
        "binance", "BTCUSDT", timeframe, made[0].open_time + 1, made[-1].open_time, tz=tz, **where
    )
    assert part.to_pylist() == table.select(part.column_names).slice(1, len(table) - 2).to_pylist()


async def test_iceberg_alone_gives_what_it_has(config, trades):
    for name, settled in (("1h", TIMEFRAMES["1h"]), ("2h", 2 * HOUR)):
        table = k2stream.read_candles("binance", "BTC/USDT", name, source="iceberg", settings=config)
        wanted = [opened for opened, _ in windows([t for t in trades if t[0] < UNTIL], settled, 0)]
        assert table["open_time"].cast(pa.int64()).to_pylist() == wanted
        assert table.schema.metadata[b"k2.missing"] == b"[]"


async def test_trades_come_once_and_in_order_from_both_stores(config, trades):
    with k2stream.scan_trades("binance", "BTCUSDT", settings=config) as reader:
        assert reader.schema.metadata[b"k2.source"] == b"ClickHouse and Iceberg"
        rows = [row for part in reader for row in pa.Table.from_batches([part]).to_pylist()]
    assert [(row["price"], row["quantity"], row["side"] == "BUY") for row in rows] == [t[1:] for t in trades]
    assert [row["raw_offset"] for row in rows] == list(range(len(trades)))
    assert rows[0]["vendor_data"] == rows[-1]["vendor_data"] == [("side", "s")]
    part = k2stream.read_trades(
        "binance", "BTC-USDT", trades[3][0], trades[-3][0], columns=["trade_id", "timestamp"], settings=config
    )
    assert part["trade_id"].to_pylist() == [f"BINANCE-{n}" for n in range(3, len(trades) - 3)]
    alone = k2stream.read_trades("binance", "BTC-USDT", source="iceberg", settings=config)
    assert len(alone) == sum(at < UNTIL for at, *_ in trades)


async def test_without_clickhouse_it_is_said(config, trades):
    gone = settings.replace(config, clickhouse_port=1)
    with pytest.warns(IncompleteRead, match=r"^read without ClickHouse \(.*127\.0\.0\.1:1\)\)$"):
        table = k2stream.read_candles("binance", "BTC/USDT", "1d", settings=gone)
    assert b"ClickHouse" in table.schema.metadata[b"k2.missing"]
    with pytest.warns(IncompleteRead, match="^read without ClickHouse"):
        assert len(k2stream.read_trades("binance", "BTC/USDT", settings=gone)) == sum(
            t[0] < UNTIL for t in trades
        )
