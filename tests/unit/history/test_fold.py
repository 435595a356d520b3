"""Folded candles are what the trades of their windows give."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.history.derive import base_span, derived
from k2stream.history.fold import fold
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import timeframe
from k2stream.model.candle import TIMEFRAMES, Candle

START = 1_793_491_200_000  # 2026-11-01T00:00Z, when clocks change in New York
UNIT = Decimal("1e-18")

trades = st.lists(
    st.tuples(
        st.integers(START, START + 3 * 86_400_000),
        st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-4)),
        st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-8)),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda trade: trade[0],
).map(sorted)


def rounded(value):
    """A fraction at 18 digits, half-even."""
    with localcontext(prec=200):
        return (Decimal(value.numerator) / value.denominator).quantize(UNIT, ROUND_HALF_EVEN)


def candle(name, opened, closed, inside, final=True):
    """One window's, from its trades: with fractions, apart from the product's code."""
    volume = sum(Fraction(quantity) for _, _, quantity, _ in inside)
    quote = sum(Fraction(price) * Fraction(quantity) for _, price, quantity, _ in inside)
    bought = [trade for trade in inside if trade[3]]
    return Candle(
        exchange="binance",
        symbol="BTCUSDT",
        canonical_symbol="BTC/USDT",
        timeframe=name,
        open_time=opened,
        close_time=closed - 1,
        open=inside[0][1],
        high=max(trade[1] for trade in inside),
        low=min(trade[1] for trade in inside),
        close=inside[-1][1],
        volume=rounded(volume),
        quote_volume=rounded(quote),
        taker_buy_volume=rounded(sum((Fraction(trade[2]) for trade in bought), Fraction())),
        taker_buy_quote_volume=rounded(
            sum((Fraction(trade[1]) * Fraction(trade[2]) for trade in bought), Fraction())
        ),
        vwap=rounded(quote / volume),
        trade_count=len(inside),
        first_trade_time=inside[0][0] * 1000,
        last_trade_time=inside[-1][0] * 1000,
        revision=len(inside) + final,
        final=final,
        raw_partition=0,
        raw_offset=inside[-1][0],
    )


def stored(name, found):
    length = TIMEFRAMES[name]
    opens = sorted({trade[0] // length * length for trade in found})
    return [
        candle(name, opened, opened + length, [t for t in found if t[0] // length * length == opened])
        for opened in opens
    ]


@settings(deadline=None)
@given(
    trades,
    st.sampled_from(
        [
            *(("4h", "UTC"), ("3m", "UTC"), ("1w", "UTC"), ("1M", "UTC"), ("7h", "UTC")),
            *(("1d", "Asia/Tokyo"), ("1d", "America/New_York"), ("4h", "America/New_York")),
        ]
    ),
)
def test_windows_are_those_of_their_trades_digit_for_digit(found, named):
    of = timeframe(*named)
    folded = fold(stored(of.base, found), of, START + 400 * 86_400_000, 10_000)
    expected = {}
    for trade in found:
        expected.setdefault(of.opening(trade[0]), []).append(trade)
    assert folded == [
        candle(of.name, opened, of.closing(opened), inside) for opened, inside in expected.items()
    ]


def test_a_window_is_final_when_its_parts_are_and_none_can_come_any_more():
    one = stored("1h", [(START, Decimal(1), Decimal(1), True)])
    of = timeframe("4h")
    end = START + 4 * 3_600_000
    assert [fold(one, of, end + wait, 10_000)[0].final for wait in (9_999, 10_000)] == [False, True]
    still = [one[0]._replace(final=False, revision=1)]
    (folded,) = fold(still, of, end + 10_000, 10_000)
    assert (folded.final, folded.revision) == (False, 1)


@pytest.mark.parametrize("others", [True, False])
def test_filled_parts_count_only_where_there_are_no_others(others):
    (real,) = stored("1h", [(START + 3_600_000, Decimal(5), Decimal(2), True)])
    filled = real._replace(open_time=START, trade_count=0, volume=Decimal(0), open=Decimal(4), low=Decimal(4))
    (folded,) = fold([filled, real] if others else [filled], timeframe("4h"), START, 0)
    assert folded.open == (5 if others else 4)
    assert folded.trade_count == int(others)


ASKED = st.tuples(
    st.integers(1, 5),
    st.none() | st.integers(START - 10**8, START + 4 * 10**8),
    st.none() | st.integers(1, 10**9),
)


@settings(deadline=None)
@given(trades, st.sampled_from([("4h", "UTC"), ("1d", "America/New_York"), ("1w", "UTC")]), ASKED)
def test_an_answer_has_the_windows_asked_for_and_all_of_each(found, named, asked):
    limit, start, length = asked
    of = timeframe(*named)
    end = None if length is None else (start or START) + length
    span = CandleSpan(limit, start, end)
    now, settled = START + 400 * 86_400_000, 10_000
    every = fold(stored(of.base, found), of, now, settled)
    held = {candle.open_time: candle for candle in stored(of.base, found)}
    base = base_span(of, span).cut(held)
    assert derived(of, span, base, now, settled) == span.cut({item.open_time: item for item in every})
