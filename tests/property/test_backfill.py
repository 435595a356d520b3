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


def most_pairs(fetched, known):
    """How many can be paired at most, by trying all."""
    if not fetched:
        return 0
    first, rest = fetched[0], fetched[1:]
    partners = {time for time in known if abs(time - first) <= 1}
    return max([most_pairs(rest, known), *(1 + most_pairs(rest, without(known, time)) for time in partners)])


def without(known, time):
    at = known.index(time)
    return known[:at] + known[at + 1 :]


@given(times, times)
def test_no_pairing_leaves_fewer(fetched, known):
    assert len(unmatched(fetched, known)) == len(fetched) - most_pairs(fetched, known)


@pytest.mark.parametrize("price", ["sNaN", "NaN", "-sNaN12", "Infinity", "-inf", "x", "1e999999999999"])
def test_what_is_no_number_is_compared_as_text(price):
    fetched = [Past(1, 1_000_000, row(price, "b", 0))]
    records, _ = raw.decode(KRAKEN, [raw.record(fetched[0].trade, 0, "", 0)])
    (content,) = contents(KRAKEN.normalize(records))
    assert absent(KRAKEN, fetched, {}) == fetched
    assert absent(KRAKEN, fetched, {content: [1_000_000]}) == []


@given(times)
def test_what_is_held_is_not_missing_however_it_was_rounded(fetched):
    for shift in (-1, 0, 1):
        assert unmatched(fetched, [time + shift for time in fetched]) == []


def row(price, side, time, digits=""):
    body = (
        '{"pair":"XBT/USD","price":"%s","volume":"1","time":"1.%06d%s","side":"%s","orderType":"l","misc":""}'
    )
    return RawTrade("XBT/USD", (body % (price, time, digits, side)).encode())


@given(trades, trades)
def test_exactly_the_excess_is_absent_and_nothing_once_it_is_there(lost, came):
    fetched = [
        Past(number, 1_000_000 + time, row(price, side, time, "7"))
        for number, (price, side, time) in enumerate(lost + came)
    ]
    before = [row(*trade) for trade in came]
    missing = absent(KRAKEN, fetched, stored_contents(before))
    assert Counter(map(alike, missing)) == Counter(map(alike, fetched)) - Counter(map(known, came))
    assert missing == sorted(missing)
    assert absent(KRAKEN, fetched, stored_contents(before + [item.trade for item in missing])) == []


def alike(item):
    trade = json.loads(item.trade.body)
    return known((trade["price"], trade["side"], item.time - 1_000_000))


def known(trade):
    price, side, time = trade
    return float(price), side, time


def stored_contents(found):
    records, bad = raw.decode(KRAKEN, [raw.record(trade, 1, "c", 0) for trade in found])
    assert not bad
    columns = KRAKEN.normalize(records)
    made = {}
    for content, time in sorted(
        zip(contents(columns), columns.timestamp, strict=True), key=lambda pair: pair[1]
    ):
        made.setdefault(content, []).append(time)
    return made
