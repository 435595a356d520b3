"""What tables have forgotten, recomputed: with what they still have it is every candle, as the rules say."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from k2stream import decimals
from k2stream.backfill.recompute import COLUMNS, forgotten, hot_trades
from k2stream.backfill.span import Span
from k2stream.candles.state import to_candle
from k2stream.sinks.schema import SILVER
from tests.property.test_candles import KEYS, START, chunks, cuts, expected, huge, small, streams
from tests.unit.candles.stores import GRACE, RAW_PARTITION, Worker, columns

KEY = KEYS[0]
DAY = 86_400_000_000
WHOLE = Span(START // DAY * DAY - 10 * DAY, START + 30 * DAY)


@given(streams(keys=(KEY,), backfilled=True), cuts, st.integers(1, 3))
def test_with_what_the_tables_have_it_is_every_candle(trades, at, retention):
    worker = Worker(retention=retention)
    for chunk in chunks(at, trades):
        worker.apply(chunk)
        worker.flush()
    wanted, _ = expected(trades)
    past = {
        (timeframe, KEY, opened): to_candle(state, KEY, "X", timeframe, opened)
        for timeframe, windows in forgotten(columns(trades), WHOLE, retention, GRACE / 1e6)
        for opened, state in windows
    }
    held = worker.candles()
    assert past.items() <= wanted.items()
    assert held.items() <= wanted.items()
    assert past.keys() | held.keys() == wanted.keys()


@given(streams(keys=(KEY,)), st.integers(0, 40), st.integers(1, 400))
def test_only_windows_that_meet_the_span_are_recomputed(trades, begin, length):
    minute = 60_000_000
    span = Span(START + begin * minute, START + (begin + length) * minute)
    late_enough = [trade for trade in trades if trade.timestamp >= span.start // DAY * DAY]
    if not late_enough:
        return
    whole = dict(forgotten(columns(late_enough), WHOLE, 1, GRACE / 1e6))
    for timeframe, windows in forgotten(columns(late_enough), span, 1, GRACE / 1e6):
        lengths = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "1d": 1440}
        end = lengths[timeframe] * minute
        assert windows == [
            (opened, state)
            for opened, state in whole[timeframe]
            if opened * 1000 < span.end and opened * 1000 + end > span.start
        ]


@given(st.lists(st.tuples(st.one_of(small, huge), small, st.booleans(), st.booleans()), max_size=20))
def test_rows_of_silver_are_trades(rows):
    table = pa.table(
        {
            "timestamp": [START + number for number in range(len(rows))],
            "receive_time": [START + number + 5 for number in range(len(rows))],
            "price": [price for price, *_ in rows],
            "quantity": [quantity for _, quantity, *_ in rows],
            "side": ["BUY" if buy else "SELL" for *_, buy, _ in rows],
            "sequence": list(range(len(rows))),
            "raw_partition": [RAW_PARTITION] * len(rows),
            "raw_offset": list(range(len(rows))),
            "trade_count": [1] * len(rows),
            "trade_conditions": [["backfilled"] if later else [] for *_, later in rows],
        },
        pa.schema([SILVER.field(name) if name != "side" else ("side", pa.string()) for name in COLUMNS]),
    )
    for part in (table, pa.concat_tables([table[:3], table[3:]])):
        trades = hot_trades(KEY, part)
        assert decimals.to_decimals(trades.price) == [price for price, *_ in rows]
        assert decimals.to_decimals(trades.quantity) == [Decimal(quantity) for _, quantity, *_ in rows]
        assert trades.taker_buy.tolist() == [buy for *_, buy, _ in rows]
        assert trades.timestamp.tolist() == [START + number for number in range(len(rows))]
        assert trades.backfilled(np.arange(len(rows))).tolist() == [later for *_, later in rows]
