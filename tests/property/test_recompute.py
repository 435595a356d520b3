"""What tables have forgotten, recomputed: with what they still have it is every candle, as the rules say."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from k2stream.backfill.canonical import COLUMNS, Canonical, hot_trades
from k2stream.backfill.recompute import forgotten
from k2stream.backfill.span import TradeSpan
from k2stream.candles.state import to_candle
from k2stream.layers.schema import SILVER
from k2stream.model import decimals
from k2stream.model.instrument import Instrument
from tests.property.test_candles import KEYS, START, chunks, cuts, expected, small, streams
from tests.unit.candles.reference import Trade
from tests.unit.candles.stores import GRACE, RAW_PARTITION, Worker

KEY = KEYS[0]
INSTRUMENT = Instrument("binance", "X", "BTC/USDT")
DAY = 86_400_000_000
MINUTE = 60_000_000
large = st.decimals("0.000000000000000001", "99999999999999999999", places=18)
LENGTHS = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "1d": 1440}


def table(trades):
    """Rows of silver."""
    return pa.table(
        {
            "timestamp": [trade.timestamp for trade in trades],
            "receive_time": [trade.receive_time for trade in trades],
            "price": [trade.price for trade in trades],
            "quantity": [trade.quantity for trade in trades],
            "side": ["BUY" if trade.taker_buy else "SELL" for trade in trades],
            "sequence": [trade.sequence for trade in trades],
            "raw_partition": [RAW_PARTITION] * len(trades),
            "raw_offset": [trade.raw_offset for trade in trades],
            "trade_count": [trade.trade_count for trade in trades],
            "trade_conditions": [["backfilled"] if trade.backfilled else [] for trade in trades],
        },
        SCHEMA,
    )


SCHEMA = pa.schema([SILVER.field(name) if name != "side" else ("side", pa.string()) for name in COLUMNS])


def recomputed(trades, span, retention):
    """As `recompute` does it, day by day."""
    stored = Canonical(INSTRUMENT, None, table(trades))
    first = span.start // DAY * DAY
    newest = stored.newest(first)
    found = {}
    for start in range(first, span.end, DAY):
        day = stored.trades_in(TradeSpan(start, start + DAY))
        wanted = TradeSpan(max(start, span.start), min(start + DAY, span.end))
        for timeframe, windows in forgotten(day, wanted, newest, retention, GRACE):
            for opened, state in windows:
                assert (timeframe, KEY, opened) not in found
                found[timeframe, KEY, opened] = to_candle(state, KEY, "X", timeframe, opened)
    return found


@given(streams(keys=(KEY,), backfilled=True), cuts, st.integers(1, 3))
def test_with_what_the_tables_have_it_is_every_candle(trades, at, retention):
    worker = Worker(retention=retention)
    for chunk in chunks(at, trades):
        worker.apply(chunk)
        worker.flush()
    wanted, _ = expected(trades)
    times = [trade.timestamp for trade in trades]
    past = recomputed(trades, TradeSpan(min(times), max(times) + 1), retention)
    stored = worker.candles()
    assert past.items() <= wanted.items()
    assert stored.items() <= wanted.items()
    assert past.keys() | stored.keys() == wanted.keys()


@given(streams(keys=(KEY,), backfilled=True), st.integers(0, 40), st.integers(1, 400))
def test_only_windows_that_meet_the_span_are_recomputed(trades, begin, length):
    span = TradeSpan(START + begin * MINUTE, START + (begin + length) * MINUTE)
    whole = recomputed(trades, TradeSpan(START // DAY * DAY - 10 * DAY, START + 30 * DAY), 1)
    assert recomputed(trades, span, 1) == {
        (timeframe, key, opened): candle
        for (timeframe, key, opened), candle in whole.items()
        if opened * 1000 < span.end and opened * 1000 + LENGTHS[timeframe] * MINUTE > span.start
    }


@given(st.lists(st.tuples(st.one_of(small, large), small, st.booleans(), st.booleans()), max_size=20))
def test_rows_of_silver_are_trades(rows):
    made = [
        Trade(KEY, START + number, number, number, price, quantity, buy, 1, START, later)
        for number, (price, quantity, buy, later) in enumerate(rows)
    ]
    whole = table(made)
    for part in (whole, pa.concat_tables([whole[:3], whole[3:]])):
        trades = hot_trades(KEY, part)
        assert decimals.to_decimals(trades.price) == [price for price, *_ in rows]
        assert decimals.to_decimals(trades.quantity) == [Decimal(quantity) for _, quantity, *_ in rows]
        assert trades.taker_buy.tolist() == [buy for *_, buy, _ in rows]
        assert trades.timestamp.tolist() == [START + number for number in range(len(rows))]
        assert trades.backfilled(np.arange(len(rows))).tolist() == [later for *_, later in rows]
