"""The oracle's reading of raw records, stated apart from the normaliser's, comes to the same."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import exchanges
from k2stream.exchanges import raw
from k2stream.layers import bronze
from k2stream.model import decimals
from k2stream.reconcile.oracle.native import judge, plain

INGEST = {"k2_recv": 1_700_000_000_000_000, "k2_conn": "c", "k2_seq": 7}
PLAIN: dict[str, dict[str, object]] = {
    "binance": {
        "e": "trade",
        "E": 5,
        "s": "BTCUSDT",
        "t": 9,
        "p": "1.50",
        "q": "2",
        "T": 17,
        "m": True,
        "M": True,
    },
    "kraken": {
        "pair": "XBT/USD",
        "price": "1.5",
        "volume": "2",
        "time": "17.5",
        "side": "b",
        "orderType": "l",
        "misc": "",
    },
    "coinbase": {
        "trade_id": "9",
        "product_id": "BTC-USD",
        "price": "1.5",
        "size": "2",
        "side": "BUY",
        "time": "2026-01-02T03:04:05.678Z",
        "type": "update",
    },
}
AGGREGATED = {**PLAIN["binance"], "e": "aggTrade", "a": 4, "f": 9, "l": 11}
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65),
    st.sampled_from([0, -1, 2**31, 10**13, 10**16, 2**63 - 1]),
    st.text(max_size=3), st.sampled_from(["", "b", "s", "BUY", "trade", "aggTrade", "1e5", "0", "-1", "1.0"]),
    st.sampled_from(["2026-13-02T03:04:05Z", "2026-01-02T03:04:05+00:00", "2026-02-30T00:00:00Z"]),
    st.just("1969-01-01T00:00:00Z"),
    st.lists(st.integers(), max_size=1), st.just("x" * 65),
)  # fmt: skip


def readable(name, value, record=None):
    _, bad = raw.decode(exchanges.get(name), [value])
    return not bad


@pytest.mark.parametrize("name", PLAIN)
@given(data=st.data())
def test_they_read_the_same_records(name, data):
    base = INGEST | data.draw(
        st.sampled_from([PLAIN[name], AGGREGATED] if name == "binance" else [PLAIN[name]])
    )
    fields = dict(base)
    for field in data.draw(st.lists(st.sampled_from(sorted(base)), max_size=2, unique=True)):
        if data.draw(st.booleans()):
            del fields[field]
        else:
            fields[field] = data.draw(VALUES)
    value = json.dumps(fields).encode()
    found = judge(name, value)
    assert found.readable == readable(name, value), fields
    (route,) = (route for route in bronze.ROUTES if route.table == f"bronze_trades_{name}")
    assert isinstance(route.columns, partial)
    exchange = route.columns.args[0]
    assert found.storable == (not raw.decode(exchange, [value])[1]), fields


NUMBERS = st.from_regex(r"[+-]?[0-9]{0,22}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(st.one_of(st.text(max_size=6), NUMBERS))
def test_they_read_the_same_numbers(text):
    values, causes = decimals.parse([text])
    good = not causes and decimals.to_ints(values)[0] > 0
    found = plain(text)
    assert bool(found) == good, text
    if good:
        assert decimals.to_ints(decimals.parse([found])[0]) == decimals.to_ints(values)


@given(st.binary(max_size=40))
def test_any_bytes_are_judged(value):
    for name in PLAIN:
        assert not judge(name, value).readable
