"""Bronze rows made by column are exactly those made record by record, or are refused."""

import json
from unittest import mock

import numpy as np
import pytest
from faust.types import TP
from hypothesis import event, given
from hypothesis import strategies as st

from k2stream import exchanges, faults
from k2stream.batch import RecordBatch
from k2stream.columnar import arrow, layout
from k2stream.columnar.layout import NotColumnar
from k2stream.layers import bronze

ROUTES = {route.table.removeprefix("bronze_trades_"): route for route in bronze.ROUTES}

plain = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=90)
odd = st.one_of(plain, st.text(max_size=8), st.sampled_from(["\x7f", "\x1f", "a\\b", 'a"b', "\n", "é", "\0"]))
digits = st.from_regex(r"[0-9]{1,8}(\.[0-9]{1,12})?", fullmatch=True)
count = st.one_of(st.integers(0, 10**6), st.integers(0, 2**63 - 1), st.sampled_from([10**16 - 1, 10**16]))
flag = st.booleans()
SHAPES: dict[str, list[dict[str, st.SearchStrategy]]] = {
    "binance": [
        {"e": st.just("trade"), "E": count, "s": plain, "t": count, "p": digits, "q": digits, "T": count}
        | {"m": flag, "M": flag},
        {"e": st.just("aggTrade"), "s": plain, "a": count, "p": digits, "q": digits, "f": count, "l": count}
        | {"T": count, "m": flag},
    ],
    "kraken": [dict.fromkeys(("pair", "price", "volume", "time", "side", "orderType", "misc"), plain)],
    "coinbase": [
        {"trade_id": kind, "product_id": plain, "price": digits, "size": kind, "side": plain}
        | {"time": plain, "type": plain}
        for kind in (digits, count, flag)
    ],
}
INGEST = {"k2_recv": st.integers(0, 10**16 - 1), "k2_conn": plain, "k2_seq": count}
# fmt: off
PIECES = (
    "", " ", "{", "}", "[", "]", '"', ",", ":", "\\", '\\"', "\\u0041", "\\ud800", "null", "true", "false",
    "0", "1", "00", "-", "-0", "1.0", "1e3", "NaN", "Infinity", "1234567890123456", '"":', '"x":1,',
    ',"x":"y"', "{}", "}{", '"p":"1",', ',"m":true', "\n", "}\n{", "}\x1f{", "\x1f", "\r", "\0", "\x7f", "é",
)
# fmt: on


@st.composite
def batches(draw, name, text=plain):
    """Records of one shape."""
    shape = {**draw(st.sampled_from(SHAPES[name])), **INGEST}
    if text is odd:
        shape = {field: odd if kind is plain else kind for field, kind in shape.items()}
    names = list(shape) if draw(flag) else draw(st.permutations(list(shape)))
    separators = draw(st.sampled_from([(",", ":")] * 9 + [(", ", ": ")]))
    rows = st.fixed_dictionaries({field: shape[field] for field in names})
    ascii = draw(flag)
    return [
        json.dumps({field: row[field] for field in names}, separators=separators, ensure_ascii=ascii).encode(
            "utf-8", "surrogatepass"
        )
        for row in draw(st.lists(rows, min_size=1, max_size=6))
    ]


@st.composite
def mutated(draw, name):
    """Records of which one or several were cut, spliced or mixed up."""
    values = draw(batches(name, draw(st.sampled_from([plain, odd]))))
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.integers(0, len(values) - 1))
        value = values[row]
        start = draw(st.integers(0, len(value)))
        stop = min(start + draw(st.sampled_from([0, 0, 1, 2, 5, 12])), len(value))
        piece = draw(st.sampled_from(PIECES)).encode()
        values[row] = value[:start] + piece + value[stop:]
    if draw(flag):  # the same bytes, cut into records elsewhere
        joined = draw(st.sampled_from([b"\n", b"\x1f", b" ", b""])).join(values)
        cuts = sorted(draw(st.lists(st.integers(0, len(joined)), max_size=3)))
        values = [joined[a:b] for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
    return values + draw(st.sampled_from([[], [], [], [None], [b""], [b"{}"]]))


def both(name, values):
    """Rows by column when they can be, and one by one."""
    route, offsets = ROUTES[name], np.arange(7, 7 + len(values))
    made = []
    for few in (0, len(values) + 1):
        batch = RecordBatch(TP(route.topic, 3), offsets, offsets * 1000, [None] * len(values), list(values))
        with mock.patch.object(bronze, "FEW_RECORDS", few):
            made.append(faults.read(batch, route.columns)[1])
    return made


def refused(values):
    try:
        arrow.columns(values)
    except NotColumnar as reason:
        return str(reason)[:30]
    return "read"


@pytest.mark.parametrize("name", exchanges.REGISTRY)
@pytest.mark.parametrize("drawn", [batches, mutated])
@given(st.data())
def test_both_ways_give_the_same_rows(drawn, name, data):
    values = data.draw(drawn(name))
    event(refused(values))
    by_column, one_by_one = both(name, values)
    assert by_column.equals(one_by_one)


@pytest.mark.parametrize("name", exchanges.REGISTRY)
@given(st.data())
def test_what_the_exchanges_send_is_read_by_column(name, data):
    """Not refused unless a number has more than 16 digits; blocks of rows make no difference."""
    values = data.draw(batches(name).filter(lambda values: b", " not in values[0] and b": " not in values[0]))
    values = [value for value in values if not any(len(run) > 16 for run in numbers(value))] * 3
    if values:
        with mock.patch.object(layout, "_BLOCK_ROWS", data.draw(st.integers(1, 5))):
            assert set(arrow.columns(values)) == set(json.loads(values[0]))
            by_column, one_by_one = both(name, values)
        assert by_column.equals(one_by_one)


def numbers(value):
    return [str(item) for item in json.loads(value).values() if type(item) is int]


GOOD = (
    b'{"e":"trade","s":"A","p":"1.0","q":"1","T":5,"m":true,"k2_recv":1,"k2_conn":"c","k2_seq":0}',
    b'{"e":"trade","s":"BC","p":"2","q":"","T":1234567890123456,"m":false,"k2_recv":9,"k2_conn":"c","k2_seq":12}',
)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b'"T":5', b'"T":05'),
        (b'"T":5', b'"T":-5'),
        (b'"T":5', b'"T":5.0'),
        (b'"T":5', b'"T":12345678901234567'),
        (b'"T":5', b'"T":"5"'),
        (b'"T":5', b'"T":null'),
        (b'"T":5', b'"T":5,"T":6'),
        (b'"T":5', b'"T": 5'),
        (b'"T":5', b'"U":5'),
        (b'"T":5', b'"T":5:5'),
        (b"true", b"trueX"),
        (b"true", b"falsetrue"),
        (b"true", b"fals"),
        (b"true", b"null"),
        (b'"1.0"', b"1.0"),
        (b'"1.0"', b'"1\\u002e0"'),
        (b'"1.0"', b'"1"0"'),
        (b'"1.0"', "é".encode().join([b'"', b'"'])),
        (b'"1.0"', b'"\t"'),
        (b'"1.0"', b'"\xff"'),
        (b"{", b" {"),
        (b"}", b"}}"),
        (b"}", b"} "),
        (b"}", b"}\x1f{}"),
        (b"}", b""),
        (b"}", b',"extra":[1]}'),
    ],
)
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_record_unlike_the_others_is_refused(was, now, row):
    values = [GOOD[1], GOOD[1], GOOD[1]]
    assert arrow.columns(values)
    values[row] = GOOD[0].replace(was, now)
    with pytest.raises(NotColumnar):
        arrow.columns(values)
    by_column, one_by_one = both("binance", values)
    assert by_column.equals(one_by_one)


@pytest.mark.parametrize("name", exchanges.REGISTRY)
@given(st.data())
def test_trades_fetched_later_are_rows_like_others(name, data):
    """All of a batch, or some."""
    values = data.draw(batches(name))
    marked = data.draw(st.lists(flag, min_size=len(values), max_size=len(values)))
    found = [
        value[:-1] + b',"k2_backfilled":true}' if mark else value
        for value, mark in zip(values, marked, strict=True)
    ]
    for rows in both(name, found):
        assert rows.equals(both(name, values)[1])
