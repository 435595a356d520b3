"""How whole the trades of a day are, as ClickHouse counts them."""

from types import SimpleNamespace

import pytest
from chdb.session import Session

from k2stream.clickhouse import destination, quality
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.model import clock
from tests.unit.clickhouse.test_recent_trades import Client

DATABASE = "whole"
DAY = clock.now_us() // 86_400_000_000 - 1  # silver lives 30 days


@pytest.fixture(scope="module")
def session():
    made = Session()
    made.query(f"CREATE DATABASE {DATABASE}")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), DATABASE):
            made.query(statement)
    made.query("SET output_format_json_quote_64bit_integers = 0")
    yield made
    made.query(f"DROP DATABASE {DATABASE}")
    made.close()


@pytest.fixture
def counted(session, monkeypatch):
    """Counts trades, each given as id, conditions and vendor data."""
    monkeypatch.setattr(destination, "connect", lambda settings: Client(session))
    session.query(f"TRUNCATE TABLE {DATABASE}.silver_trades")

    def count(*trades):
        for offset, (number, conditions, vendor) in enumerate(trades):
            session.query(
                f"""INSERT INTO {DATABASE}.silver_trades (timestamp, receive_time, price, quantity, side,
                    sequence, raw_offset, trade_count, exchange, symbol, canonical_symbol, trade_id,
                    trade_conditions, vendor_data)
                SELECT toDateTime64({DAY * 86_400 + offset}, 6, 'UTC'), now64(6), '1', '1', 'BUY', {number},
                    {offset}, 1, 'binance', 'BTCUSDT', 'BTC/USDT', '{number}', {conditions}, {vendor}"""
            )
        (found,) = quality.days(SimpleNamespace(database=DATABASE), DAY, DAY + 1, "", "")  # type: ignore[arg-type]
        return found.records, found.ids, found.expected

    return count


def test_ids_of_a_day(counted):
    assert counted(*((number, "[]", "map()") for number in (7, 8, 11))) == (3, 3, 5)


def test_ids_that_started_again_are_counted_by_themselves(counted):
    made = [(number, "[]", "map()") for number in (10**9, 10**9 + 1)]
    made += [(number, "['epoch:1']", "map()") for number in (1, 2, 4)]
    assert counted(*made) == (5, 5, 2 + 4)


def test_an_aggregated_trade_counts_as_the_ids_that_it_stands_for(counted):
    """A gap between two of them was filled with a plain trade."""
    made = [(500, "['aggregated']", "map('f', '10', 'l', '14')"), (15, "['backfilled']", "map()")]
    assert counted(*made, (501, "['aggregated']", "map('f', '17', 'l', '17')")) == (3, 7, 8)
