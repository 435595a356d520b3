"""The difference of multisets against a search through all pairings."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import exchanges
from k2stream.backfill.contents import absent, contents, unmatched
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Past
from k2stream.model.trade import RawTrade

KRAKEN = exchanges.get("kraken")

times = st.lists(st.integers(0, 12), max_size=8).map(sorted)
trades = st.lists(
    st.tuples(st.sampled_from(["1.5", "1.50", "2"]), st.sampled_from("bs"), st.sampled_from([0, 10, 20])),
    max_size=30,
)


def most_pairs(told, held):
    """How many can be paired at most, by trying all."""
    if not told:
        return 0
    first, rest = told[0], told[1:]
    partners = {time for time in held if abs(time - first) <= 1}
    return max([most_pairs(rest, held), *(1 + most_pairs(rest, without(held, time)) for time in partners)])


def without(held, time):
    at = held.index(time)
    return held[:at] + held[at + 1 :]


@given(times, times)
def test_no_pairing_leaves_fewer(told, held):
    assert len(unmatched(told, held)) == len(told) - most_pairs(told, held)


@pytest.mark.parametrize("price", ["sNaN", "NaN", "-sNaN12", "Infinity", "-inf", "x", "1e999999999999"])
def test_what_is_no_number_is_compared_as_text(price):
    told = [Past(1, 1_000_000, row(price, "b", 0))]
    records, _ = raw.decode(KRAKEN, [raw.record(told[0].trade, 0, "", 0)])
    (content,) = contents(KRAKEN.normalize(records))
    assert absent(KRAKEN, told, {}) == told
    assert absent(KRAKEN, told, {content: [1_000_000]}) == []


@given(times)
def test_what_is_held_is_not_missing_however_it_was_rounded(told):
    for shift in (-1, 0, 1):
        assert unmatched(told, [time + shift for time in told]) == []


def row(price, side, time, digits=""):
    body = (
        '{"pair":"XBT/USD","price":"%s","volume":"1","time":"1.%06d%s","side":"%s","orderType":"l","misc":""}'
    )
    return RawTrade("XBT/USD", (body % (price, time, digits, side)).encode())


@given(trades, trades)
def test_exactly_the_excess_is_absent_and_nothing_once_it_is_there(lost, came):
    told = [
        Past(number, 1_000_000 + time, row(price, side, time, "7"))
        for number, (price, side, time) in enumerate(lost + came)
    ]
    before = [row(*trade) for trade in came]
    missing = absent(KRAKEN, told, held(before))
    assert Counter(map(alike, missing)) == Counter(map(alike, told)) - Counter(map(known, came))
    assert missing == sorted(missing)
    assert absent(KRAKEN, told, held(before + [item.trade for item in missing])) == []


def alike(item):
    trade = json.loads(item.trade.body)
    return known((trade["price"], trade["side"], item.time - 1_000_000))


def known(trade):
    price, side, time = trade
    return float(price), side, time


def held(found):
    records, bad = raw.decode(KRAKEN, [raw.record(trade, 1, "c", 0) for trade in found])
    assert not bad
    columns = KRAKEN.normalize(records)
    made = {}
    for content, time in sorted(
        zip(contents(columns), columns.timestamp, strict=True), key=lambda pair: pair[1]
    ):
        made.setdefault(content, []).append(time)
    return made
