"""`k2 validate` and the views across exchanges on the embedded engine: it finds the planted faults only."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pyarrow as pa
import pytest
import pytest_asyncio

from k2stream import settings
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.layers import bronze, gold, kline_checks, silver
from k2stream.layers.schema import UTC_MICROSECONDS
from k2stream.model.candle import TIMEFRAMES
from k2stream.reconcile import checks
from tests.integration.sink_samples import batch, piece

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

BRONZE = dict(zip(("binance", "kraken", "coinbase"), bronze.ROUTES, strict=True))
GOLD = dict(zip(TIMEFRAMES, gold.ROUTES, strict=True))
MINUTE = 60_000_000
DAY = 86_400_000_000
START = (time.time_ns() // 1000 - DAY) // DAY * DAY  # yesterday
ONE_DAY = checks.Range(
    datetime.fromtimestamp(START / 1e6, UTC), datetime.fromtimestamp(START / 1e6, UTC) + timedelta(days=1)
)


def moment(micros):
    return pa.scalar(micros, UTC_MICROSECONDS).as_py()


def received(offset, at):
    return {
        "receive_time": moment(at + 20_000), "connection": "c1", "sequence": offset,
        "raw_partition": 0, "raw_offset": offset,
    }  # fmt: skip


def trade(exchange, offset, at, price, quantity, taker_buys):
    """The native row and the canonical one of a trade."""
    match exchange:
        case "binance":
            native = {
                "e": "trade", "E": at // 1000, "s": "BTCUSDT", "t": 100 + offset, "p": price, "q": quantity,
                "T": at // 1000, "m": not taker_buys, "M": True,
            }  # fmt: skip
            symbol, canonical, vendor = "BTCUSDT", "BTC/USDT", {"E": str(at // 1000)}
        case "kraken":
            native = {
                "pair": "XBT/USD", "price": price, "volume": quantity, "side": "b" if taker_buys else "s",
                "time": f"{at // 1_000_000}.{at % 1_000_000:06}", "orderType": "l", "misc": "",
            }  # fmt: skip
            symbol, canonical, vendor = "XBT/USD", "BTC/USD", {"orderType": "l", "misc": ""}
        case _:
            native = {
                "trade_id": str(100 + offset), "product_id": "BTC-USD", "price": price, "size": quantity,
                "side": "SELL" if taker_buys else "BUY", "time": f"{moment(at):%Y-%m-%dT%H:%M:%S.%f}Z",
                "type": "update",
            }  # fmt: skip
            symbol, canonical, vendor = "BTC-USD", "BTC/USD", {"type": "update"}
    identity = f"KRAKEN-{offset}" if exchange == "kraken" else str(100 + offset)
    row = received(offset, at)
    del row["connection"]
    return {**native, **received(offset, at)}, {
        **row, "timestamp": moment(at), "process_time": moment(at + 25_000), "price": Decimal(price),
        "quantity": Decimal(quantity), "side": "BUY" if taker_buys else "SELL", "trade_count": 1,
        "exchange": exchange, "symbol": symbol, "canonical_symbol": canonical, "trade_id": identity,
        "vendor_data": list(vendor.items()), "trade_conditions": [], "validation_errors": [],
    }  # fmt: skip


def candles(trades, timeframe):
    """Their candles, by a rule of its own."""
    length, windows = TIMEFRAMES[timeframe] * 1000, {}
    for row in trades:
        at = int(row["timestamp"].timestamp() * 1_000_000 + 0.5)
        windows.setdefault(at // length * length, []).append(row)
    for opened, inside in windows.items():
        prices = [row["price"] for row in inside]
        buys = [row for row in inside if row["side"] == "BUY"]
        volume, quote = sum(r["quantity"] for r in inside), sum(r["price"] * r["quantity"] for r in inside)
        yield {
            **{name: inside[0][name] for name in ("exchange", "symbol", "canonical_symbol")},
            "timeframe": timeframe,
            "open_time": pa.scalar(opened // 1000, pa.timestamp("ms", tz="UTC")).as_py(),
            "close_time": pa.scalar((opened + length) // 1000 - 1, pa.timestamp("ms", tz="UTC")).as_py(),
            "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1],
            "volume": volume, "quote_volume": quote,
            "taker_buy_volume": sum((r["quantity"] for r in buys), Decimal(0)),
            "taker_buy_quote_volume": sum((r["price"] * r["quantity"] for r in buys), Decimal(0)),
            "vwap": half_even(quote, volume), "trade_count": len(inside),
            "first_trade_time": inside[0]["timestamp"], "last_trade_time": inside[-1]["timestamp"],
            "revision": len(inside) + 1, "final": True, "raw_partition": 0,
            "raw_offset": inside[-1]["raw_offset"],
        }  # fmt: skip


def half_even(quote, volume):
    exact = Context(prec=60, rounding=ROUND_HALF_EVEN)
    return exact.quantize(exact.divide(quote, volume), Decimal("1E-18"))


def traded():
    """Native and canonical rows by exchange: for a quarter of an hour each trades on every 7th second."""
    return {
        exchange: [
            trade(
                exchange,
                offset,
                START + offset * 7_000_000 + number * 1000,
                f"{83000 + offset * 7 % 100 + number}.5",
                f"0.0000{offset + 1:04}",
                offset % 3 == 0,
            )
            for offset in range(130)
        ]
        for number, exchange in enumerate(BRONZE)
    }


TRADES = traded()


def compared(made):
    """What was found for the candles of a timeframe, two minutes after each opened."""
    names = ("exchange", "symbol", "canonical_symbol", "timeframe", "open_time", "revision")
    nothing: dict[str, list[str]] = {"fields": [], "ours": [], "theirs": []}
    for row in made:
        checked = {"status": "equal", "reason": "", "checked_time": row["open_time"] + timedelta(minutes=2)}
        yield {name: row[name] for name in names} | checked | nothing


@contextmanager
def filled(stack, name):
    """Settings, a client and the store of a database with what TRADES make in every layer."""
    config = settings.make(
        clickhouse_port=stack.clickhouse_port,
        clickhouse_database=name,
        data_dir=str(stack.data_dir / "no platform here"),
    )
    client, store = connect(config.clickhouse), ClickHouse(config.clickhouse)
    store.prepare([])
    marks = {}
    for exchange, rows in TRADES.items():
        natives, canonicals = zip(*rows, strict=True)
        twice = received(len(rows), START + 900_000_000)  # an exchange with ids may send a trade twice
        again = [] if exchange == "kraken" else [{**natives[-1], **twice}]
        first = 1000 * len(marks)
        store.write(BRONZE[exchange], batch(piece(BRONZE[exchange], [*natives, *again])))
        store.write(silver.ROUTE, batch(piece(silver.ROUTE, list(canonicals), first=first)))
        for timeframe, route in GOLD.items():
            store.write(route, batch(piece(route, list(candles(canonicals, timeframe)), first=first)))
        checked = list(compared(candles(canonicals, "1m")))
        store.write(kline_checks.ROUTE, batch(piece(kline_checks.ROUTE, checked, first=first)))
        marks[f"{exchange}:0"] = len(rows) - 1
    store.open(
        {("silver_trades", SourcePartition(silver.ROUTE.topic, 0)): SinkPosition(len(marks) * 1000, marks)}
    )
    try:
        yield config, client, store
    finally:
        client.execute(f"DROP DATABASE {name}")
        client.disconnect()
        store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def healthy(stack):
    with filled(stack, "validate_healthy") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def faulty(stack):
    with filled(stack, "validate_faulty") as made:
        yield made


def failed(client, config):
    found = list(checks.run(client, config, checks.read(), ONE_DAY))
    assert not [finding for finding in found if finding.error]
    return {finding.check.name: finding for finding in found if not finding.ok}


async def test_what_the_platform_writes_passes_every_check(healthy):
    config, client, _ = healthy
    assert failed(client, config) == {}


def minute(number):
    return f"toUnixTimestamp(open_time) = {START // 1_000_000 + number * 60}"


FAULTS = {
    "a wrong side": "silver_trades UPDATE side = 'BUY' WHERE exchange = 'coinbase' AND trade_id = '101'",
    "a missing trade": "silver_trades DELETE WHERE trade_id = 'KRAKEN-5'",
    "a missing raw record": "bronze_trades_binance DELETE WHERE t = 150",
    "other digits": """silver_trades UPDATE quantity = quantity + toDecimal128('0.000000000000000001', 18)
        WHERE exchange = 'binance' AND trade_id = '102'""",
    "a lost original": "silver_trades UPDATE vendor_data = map() WHERE trade_id = 'KRAKEN-7'",
    "a translated pair": "silver_trades UPDATE symbol = 'BTC/USD' WHERE trade_id = 'KRAKEN-8'",
    "processed before it came": """silver_trades UPDATE process_time = process_time - toIntervalSecond(1)
        WHERE trade_id = 'KRAKEN-9'""",
    "low above high": "ohlcv_30m UPDATE low = high + 1 WHERE exchange = 'kraken'",
    "a missing minute": f"ohlcv_1m DELETE WHERE exchange = 'coinbase' AND {minute(6)}",
    "no quarters of an hour": "ohlcv_15m DELETE WHERE exchange = 'binance'",
    "a shifted window": """ohlcv_1d UPDATE close_time = close_time + toIntervalMillisecond(1)
        WHERE exchange = 'binance'""",
}
FOUND = {
    "silver_side": 1,
    "silver_missing": 1,
    "silver_unknown": 1,
    "layer_counts": 2,  # kraken has one too few in silver, binance one too few in bronze
    "silver_values": 2,  # the other digits, and the symbol
    "silver_vendor_data": 1,
    "silver_symbols": 1,
    "silver_times": 1,
    "candle_values": 1,
    "candle_rollup": 1 + 5 + 2,  # the low; the minute in each longer candle; the two quarters
    "candle_windows": 1,
    "candle_volume": 4,  # the side, the trade, the digits, the minute
    "kline_checks": 1,  # the minute
}


async def test_planted_faults_are_found_where_they_are(faulty):
    config, client, _ = faulty
    for change in FAULTS.values():
        client.execute(f"ALTER TABLE {config.clickhouse.database}.{change} SETTINGS mutations_sync = 2")
    found = failed(client, config)
    assert {name: finding.rows for name, finding in found.items()} == FOUND
    example = found["silver_side"].example
    assert (example["trade_id"], example["expected"], example["found"]) == ("101", "SELL", "BUY")
    assert found["silver_missing"].example["raw_offset"] == 5


async def test_the_command_prints_a_line_a_check_and_fails_with_them(healthy, faulty):
    def k2(config, *arguments):
        environ = {name: value for name, value in os.environ.items() if not name.startswith("K2_")}
        command = [sys.executable, "-m", "k2stream", "validate", "--hours", "72", *arguments]
        return subprocess.run(
            command, env=environ | settings.environment(config), capture_output=True, text=True, timeout=60
        )

    passed = k2(healthy[0])
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert [line[:6] for line in passed.stdout.splitlines()[:-1]] == ["pass  "] * len(checks.read())
    found = k2(faulty[0], "silver_side", "bronze_duplicates")
    assert found.returncode == 1
    fail, well, total = found.stdout.splitlines()
    assert fail.startswith("FAIL  silver_side: 1 rows, e.g. exchange=coinbase, symbol=BTC-USD, trade_id=101")
    assert well.startswith("pass  bronze_duplicates: ")
    assert total == "1 of 2 checks passed"
    assert k2(healthy[0], "silver_sides").stderr.startswith("Error: silver_sides is not a check")


async def test_views_across_exchanges_are_exact(healthy):
    config, client, _ = healthy
    database = config.clickhouse.database
    by_exchange = {
        exchange: {c["open_time"]: c for c in candles([row for _, row in rows], "1m")}
        for exchange, rows in TRADES.items()
        if exchange != "binance"
    }
    names = ("open", "high", "low", "close", "volume", "quote_volume", "vwap", "trade_count", "final")
    rows = client.execute(
        f"""SELECT open_time, exchanges, {", ".join(names)} FROM {database}.consolidated_ohlcv_1m_view
        WHERE canonical_symbol = 'BTC/USD'"""
    )
    assert len(rows) == len(by_exchange["kraken"])
    for open_time, exchanges, *values in rows:
        kraken, coinbase = (by_exchange[name][open_time] for name in ("kraken", "coinbase"))
        volume, quote = (kraken[name] + coinbase[name] for name in ("volume", "quote_volume"))
        assert exchanges == ["coinbase", "kraken"]
        assert dict(zip(names, values, strict=True)) == {
            "open": kraken["open"], "high": max(kraken["high"], coinbase["high"]),
            "low": min(kraken["low"], coinbase["low"]), "close": coinbase["close"], "volume": volume,
            "quote_volume": quote, "vwap": half_even(quote, volume),
            "trade_count": kraken["trade_count"] + coinbase["trade_count"], "final": True,
        }  # fmt: skip
    (spread,) = client.execute(
        f"""SELECT exchanges, lowest_exchange, lowest_close, highest_exchange, highest_close,
            spread, spread_bps
        FROM {database}.exchange_spread_1m_view ORDER BY open_time LIMIT 1"""
    )
    low, high = (next(iter(by_exchange[name].values()))["close"] for name in ("kraken", "coinbase"))
    bps = ((high - low) * 10000 / low).quantize(Decimal("0.0001"), "ROUND_DOWN")
    assert spread == (["coinbase", "kraken"], "kraken", low, "coinbase", high, high - low, bps)


async def test_rows_expire_by_the_rule_of_their_layer(healthy):
    config, client, _ = healthy
    rows = client.execute(
        """SELECT name, create_table_query FROM system.tables
        WHERE database = %(name)s AND engine LIKE '%%MergeTree'""",
        {"name": config.clickhouse.database},
    )
    created = dict(rows)
    assert "TTL toDateTime(least(timestamp, " in created["silver_trades"]
    assert " + toIntervalDay(30)" in created["silver_trades"]
    for name in BRONZE:
        assert "TTL toDateTime(least(receive_time, " in created[f"bronze_trades_{name}"]
        assert " + toIntervalDay(7)" in created[f"bronze_trades_{name}"]
    for route in gold.ROUTES:
        assert "TTL" not in created[route.table]


async def test_a_late_trade_is_in_no_candle_and_few_of_them_are_no_fault(healthy):
    config, client, store = healthy
    _, row = trade("kraken", 130, START + 1_000_000, "83000.5", "1.0", True)
    late = {**row, **{name: moment(START + 930_000_000) for name in ("receive_time", "process_time")}}
    store.write(silver.ROUTE, batch(piece(silver.ROUTE, [late], first=9000)))
    assert failed(client, config).keys() == {"silver_unknown"}  # it has no raw record here
