"""Trades of two stores are one series: each once, in the order of the candles, fetched only if needed."""

from datetime import date

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from k2stream.layers.schema import SILVER
from k2stream.model.instrument import Instrument
from k2stream.read.merge import checksum, day_of, in_order, slices
from tests.integration.sink_samples import trade
from tests.unit.candles import reference

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
DAY = 86_400_000
trades = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(0, 3), st.integers(0, 5)),
    max_size=20,
    unique_by=lambda t: t[2:],
)


def table(found):
    """Of (timestamp in µs, sequence, raw offset)."""
    rows = [
        trade(offset, timestamp=pa.scalar(time, pa.timestamp("us", "UTC")).as_py(), sequence=sequence)
        for time, sequence, offset in found
    ]
    return pa.Table.from_pylist(rows, plain(SILVER)).cast(SILVER)


def plain(schema):
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


class Held:
    """A store in memory that counts how often its trades are fetched."""

    def __init__(self, rows):
        self.held, self.fetched = rows, 0

    def checksum(self, *of):
        return checksum(self.held)

    def rows(self, *of):
        self.fetched += 1
        return self.held


@given(trades, st.data())
def test_each_trade_comes_once_and_in_order(found, data):
    hot, cold = (
        data.draw(st.lists(st.sampled_from(found), unique=True) if found else st.just([])) for _ in "ab"
    )
    store = Held(table(hot))
    merged = day_of(store, Held(table(cold)), BTC, 0, DAY)
    wanted = sorted(
        {*hot, *cold},
        key=lambda t: reference.place(reference.Trade("", t[0], t[1], t[2], 0, 0, True, 1, 0)),
    )
    assert merged["raw_offset"].to_pylist() == [offset for _, _, offset in wanted]
    assert store.fetched == (set(hot) != set(cold))
    assert day_of(None, Held(table(cold)), BTC, 0, DAY) == in_order(table(cold))


def test_days_are_cut_to_the_span():
    days = [date(1970, 1, 3), date(1970, 1, 1), date(1970, 1, 3)]
    assert list(slices(days, 0, None)) == [(0, DAY), (2 * DAY, 3 * DAY)]
    assert list(slices(days, 5, 2 * DAY + 7)) == [(5, DAY), (2 * DAY, 2 * DAY + 7)]
    assert list(slices(days, DAY, 2 * DAY)) == []
