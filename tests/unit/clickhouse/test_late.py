"""Which minutes lack trades, as ClickHouse answers."""

import msgspec
import pytest
from chdb.session import Session

from k2stream.clickhouse.late import query
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.model import clock

MINUTE = 60_000
T0 = clock.now_us() // 86_400_000_000 * 86_400_000 - 86_400_000  # silver lives 30 days


@pytest.fixture(scope="module")
def late():
    session = Session()
    session.query("CREATE DATABASE behind")
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(encoding="utf-8"), "behind"):
            session.query(statement)

    def trade(offset, at, count=1):
        session.query(
            f"""INSERT INTO behind.silver_trades (timestamp, receive_time, process_time, price, quantity,
                side, raw_offset, raw_partition, trade_count, exchange, symbol, canonical_symbol, trade_id)
            SELECT fromUnixTimestamp64Milli({T0 + at}, 'UTC'), now64(6), now64(6), '1', '1', 'BUY',
                {offset}, 0, {count}, 'kraken', 'XBT/USD', 'BTC/USD', '{offset}'"""
        )

    def candle(at, count, final, revision):
        session.query(
            f"""INSERT INTO behind.ohlcv_1m (exchange, symbol, canonical_symbol, timeframe, open_time,
                trade_count, revision, final)
            SELECT 'kraken', 'XBT/USD', 'BTC/USD', '1m', fromUnixTimestamp64Milli({T0 + at}, 'UTC'),
                {count}, {revision}, {final}"""
        )

    for offset, at in enumerate((0, 1_000, 59_999, MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 5 * MINUTE)):
        trade(offset, at, count=2 if offset == 2 else 1)
    trade(1, 1_000)  # a replay
    candle(0, 2, "true", 3)  # two of four
    candle(MINUTE, 1, "true", 2)  # whole
    # None of the third minute, whose trades all came late; the fourth is whole, the fifth open.
    candle(3 * MINUTE, 1, "true", 2)
    candle(4 * MINUTE, 0, "false", 1)

    def ask(start, end, limit=100):
        given = {"exchange": "'kraken'", "canonical": "'BTC/USD'", "start": start, "end": end, "limit": limit}
        answer = session.query(query("behind") % given, "JSONCompactEachRow").bytes()
        rows = [msgspec.json.decode(line) for line in answer.splitlines() if line]
        return [((int(opened) - T0) // MINUTE, int(trades)) for opened, trades in rows]

    yield ask
    session.query("DROP DATABASE behind")
    session.close()


def test_minutes_whose_candle_lacks_trades_newest_first(late):
    assert late(T0, T0 + 10 * MINUTE) == [(2, 1), (0, 2)]


def test_a_span_and_a_limit(late):
    assert late(T0 + 2 * MINUTE, T0 + 10 * MINUTE) == [(2, 1)]
    assert late(T0, T0 + 2 * MINUTE) == [(0, 2)]
    assert late(T0, T0 + 10 * MINUTE, limit=1) == [(2, 1)]
