"""A consolidated candle is that of all exchanges' trades, digit for digit."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.consolidate import CONSOLIDATED, consolidate
from tests.unit.history.test_tiers import candle

NOW = 1_800_000_000_000
prices = st.decimals("0.000000000000000001", "99999999", places=18)
trades = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 59_999), prices, prices, st.booleans()),
    min_size=1,
    max_size=20,
    unique_by=lambda trade: trade[2],
)
"""Exchange, minute, time within it, price, quantity, whether the taker bought."""


def folded(exchange, minute, mine):
    """One exchange's candle of its trades in a minute."""
    ordered = sorted(mine, key=lambda trade: trade[2])
    with localcontext(prec=150):
        volume, quote = sum(t[4] for t in mine), sum(t[3] * t[4] for t in mine)
        return candle(minute * 60_000)._replace(
            exchange=f"exchange{exchange}",
            open=ordered[0][3],
            close=ordered[-1][3],
            high=max(t[3] for t in mine),
            low=min(t[3] for t in mine),
            volume=volume,
            quote_volume=quote,
            taker_buy_volume=sum((t[4] for t in mine if t[5]), Decimal(0)),
            taker_buy_quote_volume=sum((t[3] * t[4] for t in mine if t[5]), Decimal(0)),
            vwap=(quote / volume).quantize(Decimal(1).scaleb(-18), ROUND_HALF_EVEN),
            trade_count=len(mine),
            first_trade_time=ordered[0][2],
            last_trade_time=ordered[-1][2],
            revision=len(mine),
        )


@given(trades)
def test_of_all_trades(made):
    parts = [
        folded(exchange, minute, [t for t in made if t[:2] == (exchange, minute)])
        for exchange, minute in {t[:2] for t in made}
    ]
    found = consolidate(parts, NOW, 0)
    assert [row.candle.open_time for row in found] == sorted({t[1] * 60_000 for t in made})
    for row in found:
        whole = folded(
            "", row.candle.open_time // 60_000, [t for t in made if t[1] * 60_000 == row.candle.open_time]
        )
        own = {"exchange", "symbol", "raw_partition", "raw_offset"}
        assert {n: v for n, v in row.candle._asdict().items() if n not in own} == {
            n: v for n, v in whole._asdict().items() if n not in own
        }
        assert row.candle.exchange == CONSOLIDATED
        assert [part.exchange for part in row.parts] == sorted(part.exchange for part in row.parts)


def test_it_is_final_when_all_its_parts_are():
    one, other = candle(0)._replace(exchange="a", final=True), candle(0)._replace(exchange="b", final=False)
    assert not consolidate([one, other], NOW, 0)[0].candle.final
    assert consolidate([one, other._replace(final=True)], NOW, 0)[0].candle.final


def test_it_is_not_final_while_another_exchange_may_still_get_its_part():
    one, other = (candle(0)._replace(exchange=name, close_time=59_999) for name in "ab")
    assert not consolidate([one], 60_000 + 4_999, 5_000)[0].candle.final
    assert [row.candle.final for row in consolidate([one, other], 60_000 + 5_000, 5_000)] == [True]
