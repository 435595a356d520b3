"""The oracle against results worked out by hand."""

import json
from types import SimpleNamespace

import pytest

from k2stream import topics
from k2stream.reconcile.oracle import oracle as rules
from k2stream.reconcile.oracle import windows
from k2stream.reconcile.oracle.candles import ListedInstrument
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw import SCHEMA, Extent, judged

UNIT = 10**18
BASE = 1_700_000_040_000  # ms, the start of a minute


def binance(trade_id, price, quantity, at=0, buyer_is_maker=False):
    return {
        "e": "trade",
        "s": "BTCUSDT",
        "T": BASE + at,
        "t": trade_id,
        "p": price,
        "q": quantity,
        "m": buyer_is_maker,
        "k2_recv": (BASE + at) * 1000,
    }


INGEST = {"k2_recv": BASE * 1000, "k2_conn": "c", "k2_seq": 1}
NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "vwap")
WHOLE = ("trade_count", "records", "first_trade_time", "last_trade_time")


class Made:
    """What the oracle makes of raw records."""

    def __init__(self, engine):
        self.engine = engine

    def candle(self, exchange, symbol, timeframe="1m"):
        names = (*NUMBERS, *WHOLE)
        columns = ", ".join(f"toString({name})" for name in names)
        (row,) = self.engine.rows(
            f"""SELECT {columns} FROM expected_candles
            WHERE exchange = '{exchange}' AND symbol = '{symbol}' AND timeframe = '{timeframe}'"""
        )
        return SimpleNamespace(**dict(zip(names, map(int, row), strict=True)))

    def late(self):
        return self.engine.number("SELECT count() FROM timed WHERE late")

    def count(self, condition):
        return self.engine.number(f"SELECT count() FROM trades WHERE {condition}")

    def silver(self, *columns):
        return self.engine.rows(f"SELECT {', '.join(columns)} FROM silver ORDER BY exchange, raw_offset")


@pytest.fixture
def oracle(tmp_path):
    opened = []

    def build(grace=5_000_000, letters=(), first=0, **raw):
        extent = Extent()
        for name in ("binance", "kraken", "coinbase"):
            values = [
                json.dumps(INGEST | row, separators=(",", ":")).encode() if isinstance(row, dict) else row
                for row in raw.get(name, [])
            ]
            with ParquetWriter(tmp_path / f"{name}.parquet", SCHEMA) as writer:
                writer.rows(judged(name, 0, enumerate(values, first), 1 << 62, cold=False))
            extent.first[name, 0] = first
        engine = OracleEngine()
        engine.run("CREATE TABLE letters (topic String, partition Int64, offset Int64) ENGINE = Memory")
        for topic, offset in letters:
            engine.run(f"INSERT INTO letters VALUES ('{topic}', 0, {offset})")
        rules.expect(engine, tmp_path, extent, [ListedInstrument("kraken", "XBT/USD", "BTC/USD")], grace)
        windows.expected_candles(engine, ["needed"])
        opened.append(engine)
        return Made(engine)

    yield build
    for one in opened:
        one.__exit__(None, None, None)


def candle(made, exchange, symbol, timeframe="1m"):
    return made.candle(exchange, symbol, timeframe)


def test_a_candle_is_exact(oracle):
    found = candle(
        oracle(
            binance=[
                binance(1, "83285", "0.00000002"),
                binance(2, "83290.5", "1.5", at=10, buyer_is_maker=True),
                binance(3, "83280.10", "0.3", at=20),
            ]
        ),
        "binance",
        "BTCUSDT",
    )
    assert (found.open, found.high, found.low, found.close) == (
        83285 * UNIT,
        832905 * UNIT // 10,
        8328010 * UNIT // 100,
        8328010 * UNIT // 100,
    )
    assert found.volume == 180000002 * UNIT // 10**8
    assert found.taker_buy_volume == 30000002 * UNIT // 10**8
    assert found.quote_volume == (83285 * 2 * 10**10) + 1249357500 * UNIT // 10**4 + 2498403 * UNIT // 100
    assert found.trade_count == found.records == 3


def test_open_and_close_follow_trade_time_then_id_not_arrival(oracle):
    rows = [binance(3, "3", "1", at=5), binance(1, "1", "1", at=1), binance(2, "2", "1", at=5)]
    found = candle(oracle(binance=rows), "binance", "BTCUSDT")
    assert (found.open, found.close) == (1 * UNIT, 3 * UNIT)


def test_a_repeated_id_counts_once_and_identical_kraken_trades_all_count(oracle):
    kraken = {"pair": "XBT/USD", "price": "2", "volume": "1.5", "time": "1700000040.123456"}
    kraken |= {"side": "b", "orderType": "l", "misc": ""}
    made = oracle(binance=[binance(1, "1", "1")] * 2, kraken=[kraken] * 13)
    assert candle(made, "binance", "BTCUSDT").volume == UNIT
    assert candle(made, "kraken", "XBT/USD").volume == 13 * 15 * UNIT // 10
    assert made.count("duplicate") == 1


def test_what_another_connection_told_already_counts_once(oracle):
    trade: dict[str, object] = {"pair": "XBT/USD", "price": "2", "volume": "1.5", "side": "b"}
    trade |= {"time": "1700000040.123456", "orderType": "l", "misc": ""}
    told = [{**trade, "k2_conn": "a"}] * 12
    told += [{**trade, "k2_conn": "kraken-rest-1", "k2_backfilled": True}]
    told += [{**trade, "k2_conn": "b"}] * 14 + [{**trade, "k2_conn": "b", "price": "3"}]
    made = oracle(kraken=told)
    assert made.count("kept") == 15
    assert made.engine.number("SELECT uniqExact(trade_id) FROM silver") == 15


def test_coinbase_numbers_may_be_json_numbers_and_the_side_is_the_makers(oracle):
    row = {
        "product_id": "BTC-USD",
        "price": "3",
        "size": 0.1,
        "trade_id": "7",
        "side": "SELL",
        "type": "update",
    }
    found = candle(
        oracle(coinbase=[{**row, "time": "2023-11-14T22:14:00.123456789Z"}]), "coinbase", "BTC-USD"
    )
    assert found.taker_buy_volume == found.volume == UNIT // 10
    assert found.first_trade_time == 1_700_000_040_123_456


def test_an_aggregate_counts_the_trades_it_stands_for(oracle):
    row = {
        "e": "aggTrade",
        "s": "BTCUSDT",
        "T": BASE,
        "a": 9,
        "f": 100,
        "l": 104,
        "p": "1",
        "q": "1",
        "m": True,
    }
    found = candle(oracle(binance=[row]), "binance", "BTCUSDT")
    assert (found.trade_count, found.records) == (5, 1)


def aggregate(number, first, last):
    row = {"e": "aggTrade", "s": "BTCUSDT", "T": BASE, "a": number, "f": first, "l": last}
    return row | {"p": "1", "q": "1", "m": True}


def test_each_plain_id_is_covered_once(oracle):
    rows = [binance(9, "1", "1"), binance(10, "1", "1"), aggregate(1, 11, 13), aggregate(2, 9, 10)]
    rows += [binance(number, "1", "1") for number in (12, 14)]
    rows += [aggregate(3, 14, 16), binance(15, "1", "1"), aggregate(4, 17, 17)]
    made = oracle(binance=rows, letters=[(topics.raw("binance"), 6)])
    kept = made.engine.rows("SELECT raw_offset FROM trades WHERE kept ORDER BY raw_offset")
    assert [offset for (offset,) in kept] == [0, 1, 2, 5, 7, 8]
    assert oracle(binance=rows).count("kept AND raw_offset = 6") == 1  # some of it is nowhere: it has to be


UNUSABLE = (
    *("", "abc", "-1", "0", "1e400", "1e-19", "nan", " 1", "1.0000000000000000001", "1" * 21, "9" * 20),
    *("0.00000000000000000000000000000000000001", "1_0", "0x10", "sNaN", "1e"),
)


def test_numbers_that_cannot_be_used_are_not_good(oracle):
    rows = [binance(number, price, "2") for number, price in enumerate(UNUSABLE)]
    made = oracle(binance=[*rows, binance(99, "1", "1")])
    assert made.count("good") == 1
    assert made.count("1") == len(UNUSABLE) + 1


def test_an_exponent_is_read_exactly(oracle):
    found = candle(oracle(binance=[binance(1, "1e5", "1E-18")]), "binance", "BTCUSDT")
    assert (found.open, found.volume) == (10**5 * UNIT, 1)


def test_a_trade_past_the_grace_is_late_in_every_timeframe(oracle):
    made = oracle(
        binance=[binance(1, "1", "1"), binance(2, "1", "1", at=65_000), binance(3, "1", "1", at=59_999)]
    )
    assert made.late() == 1
    assert candle(made, "binance", "BTCUSDT", "1h").records == 2
    made = oracle(
        binance=[binance(1, "1", "1"), binance(2, "1", "1", at=64_999), binance(3, "1", "1", at=59_999)]
    )
    assert made.late() == 0


def test_a_trade_dated_ahead_makes_no_other_late(oracle):
    ahead = {**binance(2, "1", "1", at=3_600_000), "k2_recv": (BASE + 1000) * 1000}
    made = oracle(binance=[binance(1, "1", "1"), ahead, binance(3, "1", "1", at=59_999)])
    assert made.late() == 0
    in_step = {**ahead, "k2_recv": (BASE + 64_000) * 1000}  # and a second ahead: what is within may be late
    made = oracle(binance=[binance(1, "1", "1"), in_step, binance(3, "1", "1", at=59_999)])
    assert made.late() == 1


def test_what_was_fetched_later_is_never_late(oracle):
    fetched = {**binance(3, "1", "1", at=59_999), "k2_backfilled": True}
    made = oracle(binance=[binance(1, "1", "1"), binance(2, "1", "1", at=65_000), fetched])
    assert made.late() == 0
    assert candle(made, "binance", "BTCUSDT", "1h").records == 3


def test_the_average_price_is_rounded_half_even_once(oracle):
    made = oracle(binance=[binance(1, "1", "1"), binance(2, "1.000000000000000001", "1", at=1)])
    assert candle(made, "binance", "BTCUSDT").vwap == UNIT
    made = oracle(
        binance=[binance(1, "1.000000000000000001", "1"), binance(2, "1.000000000000000002", "1", at=1)]
    )
    assert candle(made, "binance", "BTCUSDT").vwap == UNIT + 2
