"""What anybody writes first on the ClickHouse tables is right: products, quotients, sums, dates far away."""

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from chdb.session import Session

from k2stream.clickhouse.migrate import FOLDER, statements

DOCS = Path(__file__).parents[3] / "docs"
PRICE, QUANTITY = Decimal("83298.34"), Decimal("0.00778826")
NOTIONAL = PRICE * QUANTITY


@pytest.fixture(scope="module")
def ask():
    session = Session()
    session.query("CREATE DATABASE natural")

    def asked(sql):
        answer = session.query(sql.replace("k2.", "natural."), "JSONCompactEachRow").bytes()
        return [msgspec.json.decode(line) for line in answer.splitlines() if line]

    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), "natural"):
            session.query(statement)
    for number, time in enumerate(("now64(6)", "now64(6)", "toDateTime64('2150-01-01 00:00:00', 6, 'UTC')")):
        asked(
            f"""INSERT INTO k2.silver_trades (timestamp, receive_time, process_time, price, quantity, side,
                raw_offset, raw_partition, trade_count, exchange, symbol, canonical_symbol, trade_id)
            SELECT {time}, now64(6), now64(6), '{PRICE}', '{QUANTITY}', 'BUY', {number}, 0, 1, 'kraken',
                'XBT/USD', 'BTC/USD', '{number}'"""
        )
    asked(
        f"""INSERT INTO k2.ohlcv_1m (exchange, symbol, canonical_symbol, timeframe, open_time, close_time,
            open, high, low, close, volume, quote_volume, vwap, trade_count, revision, final)
        SELECT 'kraken', 'XBT/USD', 'BTC/USD', '1m', toStartOfMinute(now()), toStartOfMinute(now()) + 59,
            '80000', '{PRICE}', '80000', '{PRICE}', '{QUANTITY}', '{NOTIONAL}', '{PRICE}', 1, 2, true"""
    )
    yield asked
    session.query("DROP DATABASE natural")
    session.close()


def numbers(rows):
    return [Decimal(str(value)) for row in rows for value in row]


@pytest.mark.parametrize("source", ["k2.silver_trades", "k2.silver_trades FINAL", "k2.silver_trades_view"])
def test_products_of_trades_are_right(ask, source):
    rows = ask(f"SELECT toString(price * quantity), toString(notional) FROM {source} WHERE trade_id = '0'")
    assert numbers(rows) == [NOTIONAL, NOTIONAL]
    worth = "sum(price * quantity)"
    rows = ask(f"SELECT toString({worth}), toString({worth} / sum(quantity)) FROM {source}")
    assert numbers(rows) == [3 * NOTIONAL, PRICE]
    assert numbers(ask(f"SELECT toString(price / price * 100) FROM {source} LIMIT 1")) == [100]
    assert numbers(ask(f"SELECT toString(max(price) * 100 * sum(quantity)) FROM {source}")) == [
        300 * NOTIONAL
    ]


@pytest.mark.parametrize(
    "source", ["k2.ohlcv_1m", "k2.ohlcv_1m_view", "k2.ohlcv_view", "k2.consolidated_ohlcv_1m_view"]
)
def test_quotients_of_candles_are_right(ask, source):
    sql = """SELECT toString(quote_volume / volume), toString(sum(quote_volume) / sum(volume)),
        toString((close - open) / open * 100), toString(close * volume) FROM {} GROUP BY ALL"""
    change = ((PRICE - 80000) / 80000).quantize(Decimal("1e-18"), "ROUND_DOWN") * 100
    assert numbers(ask(sql.format(source))) == [PRICE, PRICE, change, NOTIONAL]


def test_the_recipes_of_the_page_run(ask):
    blocks = re.findall(r"```sql\n(.*?)```", (DOCS / "sql.md").read_text(), re.DOTALL)
    found = [ask(query) for block in blocks for query in block.split(";") if query.strip()]
    assert len(found) == 4
    assert Decimal(str(found[0][0][2])) == 3 * NOTIONAL


def test_a_trade_dated_beyond_2106_stays(ask):
    ask("OPTIMIZE TABLE k2.silver_trades FINAL")
    assert ask("SELECT toString(count()), toString(max(toYear(timestamp))) FROM k2.silver_trades_view") == [
        ["3", "2150"]
    ]


def test_a_raw_record_of_beyond_2106_is_read_as_of_then(ask):
    ask(
        """INSERT INTO k2.bronze_trades_coinbase
            (trade_id, product_id, price, size, side, time, type, receive_time)
        SELECT '1', 'BTC-USD', '1', '1', 'BUY', '2150-01-01T00:00:00.5Z', 'update',
            toDateTime64('2150-01-01 00:00:00', 6, 'UTC')"""
    )
    ask("OPTIMIZE TABLE k2.bronze_trades_coinbase FINAL")
    sql = "SELECT toString(timestamp) FROM k2.bronze_trades_view WHERE exchange = 'coinbase'"
    assert ask(sql) == [["2150-01-01 00:00:00.500000"]]
