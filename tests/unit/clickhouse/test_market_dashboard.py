"""The panels of the market dashboard show the right values; tests/watch asks a running platform."""

import msgspec
import pytest
from chdb.session import Session

from k2stream.clickhouse.migrate import FOLDER, statements
from tests import grafana

MINUTE_MS = 60_000
BEGIN_MS = 1_800_000_000_000
MARKETS = {"binance": "BTC/USDT", "kraken": "BTC/USD", "coinbase": "BTC/USD"}
CLOSES = {"binance": (101, 104), "kraken": (100, 98), "coinbase": (102, 101)}
QUERIES = {name.partition(": ")[2].rpartition(" ")[0]: query for name, _, query in grafana.queries("rawSql")}
CHOSEN = {"exchange": "kraken", "symbol": "BTC/USD", "timeframe": "1m"}


@pytest.fixture(scope="module")
def ask():
    session = Session()
    session.query("CREATE DATABASE market")
    session.query("USE market")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), "market"):
            session.query(statement)

    def asked(title, **values):
        text = grafana.sql(QUERIES.get(title, title), CHOSEN | values, BEGIN_MS, BEGIN_MS + 10 * MINUTE_MS)
        answer = session.query(text, "JSONEachRow").bytes()
        return [msgspec.json.decode(line) for line in answer.splitlines() if line]

    for exchange, symbol in MARKETS.items():
        for minute, close in enumerate(CLOSES[exchange]):
            opened = f"fromUnixTimestamp64Milli({BEGIN_MS + minute * MINUTE_MS})"
            for revision in (2, 5):  # the older one is not merged yet
                session.query(
                    f"""INSERT INTO ohlcv_1m (exchange, symbol, canonical_symbol, timeframe, open_time, open,
                        high, low, close, volume, taker_buy_volume, quote_volume, vwap, trade_count, revision)
                    SELECT '{exchange}', 'S', '{symbol}', '1m', {opened}, '100', '110', '90', '{close}',
                        '{revision}', '3', '500', '100', 4, {revision}"""
                )
        session.query(
            f"""INSERT INTO kline_checks (exchange, symbol, canonical_symbol, timeframe, open_time, revision,
                status, checked_time)
            SELECT '{exchange}', 'S', '{symbol}', '1m', fromUnixTimestamp64Milli({BEGIN_MS}), 5,
                '{"different" if exchange == "kraken" else "equal"}', now64(6)"""
        )
    for number, (side, price) in enumerate((("BUY", 98), ("SELL", 97))):
        session.query(
            f"""INSERT INTO silver_trades (timestamp, receive_time, process_time, price, quantity, side,
                raw_offset, raw_partition, trade_count, exchange, symbol, canonical_symbol, trade_id)
            SELECT now64(6) + {number}, now64(6) + INTERVAL 20 YEAR, now64(6), '{price}', '0.5', '{side}',
                {number}, 0, 1, 'kraken', 'XBT/USD', 'BTC/USD', '{number}'"""
        )
    yield asked
    session.query("DROP DATABASE market")
    session.close()


def test_every_statement_is_asked_here():
    assert QUERIES.keys() == {
        "Last price", "Change", "Volume", "Value traded", "Trades", "Widest spread across exchanges",
        "$exchange $symbol $timeframe", "Volume, and taker delta", "Cumulative taker delta",
        "Each exchange against the mean of all", "Spread across exchanges", "Last trades", "All markets",
        "Agreement with the exchanges' klines", "Candles compared last",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("title", "name", "expected"),
    [("Last price", "price", 97), ("Change", "change", -2), ("Volume", "volume", 10),
     ("Value traded", "value", 1000), ("Trades", "trades", 8)],
)  # fmt: skip
def test_a_number_of_the_market_counts_each_candle_once(ask, title, name, expected):
    (row,) = ask(title)
    assert float(row[name]) == pytest.approx(expected)


def test_candles_have_what_the_panel_draws(ask):
    rows = ask("$exchange $symbol $timeframe")
    assert [row["close"] for row in rows] == [100, 98]
    assert rows[0] | {"time": 0} == {
        "time": 0, "open": 100, "high": 110, "low": 90, "close": 100, "volume": 5, "vwap": 100
    }  # fmt: skip


def test_the_delta_is_what_takers_bought_less_what_they_sold(ask):
    rows = ask("Volume, and taker delta")
    assert [(row["bought"], row["sold"], row["delta"]) for row in rows] == [(3, -2, 1)] * 2
    assert [row["delta"] for row in ask("Cumulative taker delta")] == [1, 2]


def test_spreads_are_of_all_markets_of_the_base_asset_at_one_time(ask):
    spreads = [row["bps"] for row in ask("Spread across exchanges")]
    assert spreads == pytest.approx([10_000 * (102 / 100 - 1), 10_000 * (104 / 98 - 1)])
    assert ask("Widest spread across exchanges") == [{"bps": pytest.approx(max(spreads))}]
    rows = {(row["time"], row["market"]): row["bps"] for row in ask("Each exchange against the mean of all")}
    assert len(rows) == 6
    first = {market: bps for (_, market), bps in sorted(rows.items())[:3]}
    assert first == pytest.approx(
        {"binance BTC/USDT": 0, "coinbase BTC/USD": 10_000 / 101, "kraken BTC/USD": -10_000 / 101}
    )


def test_tables_list_what_is_newest_or_wrong_first(ask):
    assert [(row["side"], float(row["price"]), float(row["value"])) for row in ask("Last trades")] == [
        ("SELL", 97, 48.5), ("BUY", 98, 49)
    ]  # fmt: skip
    markets = ask("All markets")
    assert [(row["exchange"], row["symbol"], row["price"]) for row in markets] == [
        ("binance", "BTC/USDT", 104), ("coinbase", "BTC/USD", 101), ("kraken", "BTC/USD", 98)
    ]  # fmt: skip
    assert [row["status"] for row in ask("Candles compared last")] == ["different", "equal", "equal"]
    counts = {row["found"]: int(row["candles"]) for row in ask("Agreement with the exchanges' klines")}
    assert counts == {"binance equal": 1, "coinbase equal": 1, "kraken different": 1}


def test_the_text_of_a_symbol_is_no_statement(ask):
    assert ask("Trades", symbol="' OR 1 = 1 --")[0]["trades"] in (0, "0")


@pytest.mark.parametrize("timeframe", ["5m", "15m", "30m", "1h", "1d"])
def test_every_timeframe_has_a_view(ask, timeframe):
    assert ask("$exchange $symbol $timeframe", timeframe=timeframe) == []


def test_the_variables_offer_exchanges_and_their_symbols(ask):
    first, second = (item["query"] for item in grafana.BOARDS["market"]["templating"]["list"][:2])
    assert [row["exchange"] for row in ask(first)] == sorted(MARKETS)
    assert ask(second, exchange="binance") == [{"canonical_symbol": "BTC/USDT"}]
