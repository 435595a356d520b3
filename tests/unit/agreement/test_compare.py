"""A comparison finds exactly the fields that differ, whatever their digits look like."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.agreement.compare import COMPARED, NO_KLINE, PARTIAL, compare
from k2stream.agreement.explain import Evidence, explain
from k2stream.agreement.pending import PendingCheck, next_group
from k2stream.exchanges.rest.klines import Kline
from k2stream.model.kline_checks import Agreement

NOW = 1_760_000_000_000_000
MINUTE = 60_000

amounts = st.decimals(0, 10**9, allow_nan=False, places=8)
optional = ("trade_count", "taker_buy_volume")


@st.composite
def klines(draw):
    opened, high, low, close, volume, taker = (draw(amounts) for _ in range(6))
    return Kline(MINUTE, opened, high, low, close, volume, draw(st.integers(1, 10**6)), taker)


def waiting(kline, **changed):
    fields = {name: getattr(kline, name) for name in COMPARED} | changed
    return PendingCheck(
        exchange="kraken",
        symbol="XBT/USD",
        canonical_symbol="BTC/USD",
        timeframe="1m",
        open_time=kline.open_time,
        revision=7,
        due=0,
        **fields,
    )


def longer(value):
    """The same number with more digits."""
    return Decimal(f"{value:f}" + ("000" if "." in f"{value:f}" else ".000"))


@given(klines(), st.sets(st.sampled_from(optional)))
def test_equal_numbers_are_equal_whatever_their_digits_and_what_is_not_said_is_not_compared(kline, unsaid):
    told = kline._replace(**dict.fromkeys(unsaid), volume=longer(kline.volume), close=longer(kline.close))
    check = compare(waiting(kline), told, partial=False, now=NOW)
    assert (check.status, check.fields, check.reason) == (Agreement.EQUAL, (), "")
    assert (check.revision, check.open_time, check.checked_time) == (7, MINUTE, NOW)


@given(klines(), st.sets(st.sampled_from(COMPARED), min_size=1), st.sampled_from((1, -1)))
def test_exactly_the_fields_that_differ_are_found_by_their_last_digit(kline, wrong, sign):
    def other(name):
        value = getattr(kline, name)
        return value + sign if isinstance(value, int) else value + sign * Decimal("1e-18")

    ours = waiting(kline, **{name: other(name) for name in wrong})
    check = compare(ours, kline, partial=False, now=NOW)
    assert (check.status, set(check.fields)) == (Agreement.DIFFERENT, wrong)
    for name, mine, theirs in zip(check.fields, check.ours, check.theirs, strict=True):
        assert (Decimal(mine), Decimal(theirs)) == (other(name), getattr(kline, name))
    beginning = compare(ours, kline, partial=True, now=NOW)
    assert (beginning.status, beginning.reason) == (Agreement.NOT_COMPARABLE, PARTIAL)
    assert beginning.fields == check.fields


@given(klines())
def test_an_equal_candle_is_equal_even_where_our_trades_begin(kline):
    assert compare(waiting(kline), kline, partial=True, now=NOW).status is Agreement.EQUAL
    missing = compare(waiting(kline), None, partial=False, now=NOW)
    assert (missing.status, missing.reason) == (Agreement.NOT_COMPARABLE, NO_KLINE)


LIMIT = 4
places = st.tuples(
    st.sampled_from("AB"), st.sampled_from(("1m", "5m")), st.integers(0, 30), st.integers(0, 9)
)


@given(st.lists(places))
def test_a_request_is_for_the_windows_of_one_symbol_that_fit_and_ends_in_time(drawn):
    left: list[Any] = [
        (0, SimpleNamespace(symbol=symbol, timeframe=timeframe, open_time=number * length, due=due))
        for symbol, timeframe, number, due in drawn
        for length in ({"1m": MINUTE, "5m": 5 * MINUTE}[timeframe],)
    ]
    requests, count = 0, len(left)
    while left:
        group = next_group(left, SimpleNamespace(limit=LIMIT))  # type: ignore[arg-type]
        assert group is not None
        items = [item for _, item in group.items]
        assert len({(item.symbol, item.timeframe) for item in items}) == 1
        longest = min(item.due for _, item in left)
        assert any(
            (item.symbol, item.timeframe) == (items[0].symbol, items[0].timeframe) and item.due == longest
            for _, item in left
        )
        length = {"1m": MINUTE, "5m": 5 * MINUTE}[items[0].timeframe]
        assert [item.open_time for item in items] == sorted(item.open_time for item in items)
        assert (group.last.open_time - group.first.open_time) // length < LIMIT
        left = [item for item in left if item not in group.items]
        requests += 1
    assert requests <= count
    assert next_group([], None) is None


def evidence(**changed):
    usual = Evidence(7, 10, 10, Decimal("1.50"), Decimal(3), Decimal(2), 0, 10, 100, 111)
    return usual._replace(**changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["no id is missing", "the exchange's close is not what its own trades give"]),
        ({"revision": 9}, ["revised since: 7 is now 9", "no id is missing", "is not what its own trades"]),
        ({"ids": 8}, ["2 trade ids are missing between 100 and 111"]),
        ({"trades": 12}, ["2 trades came after the grace"]),
        ({"fetched": 3}, ["3 trades were missed, and fetched", "no id is missing", "is not what its own"]),
        ({"previous_id": None}, ["volume 1.5, high 3 and low 2, and ids do not tell"]),
        ({"trades": 0}, ["not in ClickHouse any more"]),
    ],
)
def test_a_difference_is_explained_by_what_is_stored(changed, said):
    lines = list(explain(7, ("close",), evidence(**changed)))
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True)), lines
