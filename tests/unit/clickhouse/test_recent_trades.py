"""Pages of trades, the position of their sink, and where candles begin, asked of a real server's engine."""

from types import SimpleNamespace

import msgspec
import pytest
from chdb.session import Session

from k2stream.clickhouse import destination
from k2stream.clickhouse.candles import HotTier
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.clickhouse.recent_trades import RecentTrades
from k2stream.history.trades import TradePage, TradePlace
from k2stream.model.instrument import Instrument

DATABASE = "recent"
ITEM = Instrument("kraken", "XBT/USD", "BTC/USD")
T0 = 1_800_000_000_000_000
TRADES = [(T0, 9, 0), (T0, 8, 1), (T0 + 1, 7, 2), (T0 + 2, 0, 11), (T0 + 2, 0, 10)]
"""Times (µs), sequences, raw offsets."""


class Client:
    """Answers as the driver does."""

    def __init__(self, session):
        self._session = session

    def execute(self, query, values, columnar=False, settings=None):
        bound = {
            name: value if isinstance(value, int | list) else "'" + value.replace("'", "''") + "'"
            for name, value in values.items()
        }
        found = self._session.query(query % bound, "JSONCompact").bytes()
        rows = msgspec.json.decode(found)["data"] if found else []
        return list(zip(*rows, strict=True)) if columnar else rows

    def disconnect(self):
        pass


@pytest.fixture(scope="module")
def session():
    made = Session()
    made.query(f"CREATE DATABASE {DATABASE}")
    made.query(f"USE {DATABASE}")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), DATABASE):
            made.query(statement)
    made.query("SET output_format_json_quote_64bit_integers = 0")
    for time, sequence, offset in [*TRADES, TRADES[2]]:
        made.query(
            f"""INSERT INTO silver_trades (timestamp, receive_time, process_time, price, quantity, side,
                sequence, raw_offset, raw_partition, trade_count, exchange, symbol, canonical_symbol,
                trade_id)
            SELECT fromUnixTimestamp64Micro({time}), now64(6), now64(6), '1', '2', 'BUY', {sequence},
                {offset}, 0, 1, 'kraken', 'XBT/USD', 'BTC/USD', ''"""
        )
    yield made
    made.query(f"DROP DATABASE {DATABASE}")
    made.close()


@pytest.fixture
def stored(session, monkeypatch):
    monkeypatch.setattr(destination, "connect", lambda settings: Client(session))
    return RecentTrades(SimpleNamespace(database=DATABASE))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("page", "offsets"),
    [
        (TradePage(9), [11, 10, 2, 0, 1]),
        (TradePage(2), [11, 10]),
        (TradePage(9, T0 + 1), [2, 10, 11]),
        (TradePage(9, T0, T0 + 2), [1, 0, 2]),
        (TradePage(9, after=TradePlace(T0 + 2, 0, 10)), [2, 0, 1]),
        (TradePage(9, T0, after=TradePlace(T0, 8, 1)), [0, 2, 10, 11]),
        (TradePage(9, from_id=8), [1, 0, 10, 11]),
        (TradePage(2, from_id=8, after=TradePlace(T0, 9, 0)), [10, 11]),
        (TradePage(9, from_id=2**63 - 1), []),
    ],
)
def test_a_page(stored, page, offsets):
    assert stored.page(ITEM, page, 0)["raw_offset"].to_pylist() == offsets


def test_what_is_beyond_a_raw_offset(stored):
    assert stored.beyond(ITEM, 1, 2)["raw_offset"].to_pylist() == [2, 10]


def test_what_is_held(session, stored):
    assert stored.held(ITEM, 3)[:3] == (T0, T0 + 2, -1)
    assert stored.held(Instrument("kraken", "ETH/USD", "ETH/USD"), 3)[:3] == (None, None, -1)


def test_since_when_all_that_was_received_is_held(session, stored):
    ((begun,),) = msgspec.json.decode(
        session.query(
            "SELECT toUnixTimestamp64Micro(min(receive_time)) FROM silver_trades", "JSONCompact"
        ).bytes()
    )["data"]
    assert 0 < begun == stored.held(ITEM, 3).begun


def test_where_candles_begin_is_told_by_their_trades(session, monkeypatch):
    """The window that opened first was revised by trades that were fetched later."""
    monkeypatch.setattr(destination, "connect", lambda settings: Client(session))
    for minute, offset in ((7, 30), (8, 10), (9, 20)):
        session.query(
            f"""INSERT INTO ohlcv_1m (exchange, symbol, canonical_symbol, timeframe, open_time, raw_offset)
            SELECT 'kraken', 'XBT/USD', 'BTC/USD', '1m', toDateTime64({minute * 60}, 3, 'UTC'), {offset}"""
        )
    tier = HotTier(SimpleNamespace(database=DATABASE))  # type: ignore[arg-type]
    assert (tier.oldest(ITEM, "1m"), tier.begun(ITEM, "1m")) == (7 * 60_000, 8 * 60_000)
    assert tier.begun(ITEM, "5m") is None


def test_a_candle_dated_ahead_does_not_tell_how_far_the_others_are(session, monkeypatch):
    monkeypatch.setattr(destination, "connect", lambda settings: Client(session))
    for opened in ("toDateTime64(1800, 3, 'UTC')", "toStartOfDay(now64(3)) + toIntervalYear(1)"):
        session.query(
            f"""INSERT INTO ohlcv_30m (exchange, symbol, canonical_symbol, timeframe, open_time)
            SELECT 'kraken', 'XBT/USD', 'BTC/USD', '30m', {opened}"""
        )
    assert HotTier(SimpleNamespace(database=DATABASE)).latest(ITEM, "30m") == 1_800_000  # type: ignore[arg-type]


def test_the_position_of_the_newest_epoch(session, stored):
    table = "'silver_trades', 'market.crypto.trades.normalized'"
    session.query(
        f"""INSERT INTO sink_positions (table, topic, partition, last_offset, marks, epoch, source) VALUES
            ({table}, 5, 70, map(), '1', ''), ({table}, 5, 40, map(), '2', ''),
            ({table}, 6, 90, map(), '2', '')"""
    )
    assert stored.held(ITEM, 5).reached == 40
