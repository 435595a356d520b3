"""Any bytes get an answer, its trades can be read back, digits survive, joined decoding equals single."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from k2stream.exchanges import BUILT_IN, raw
from k2stream.exchanges.spec import Frame, Kind

PLAYBACK = Path(__file__).parents[1] / "playback"
FRAMES = {name: (PLAYBACK / name / "frames.jsonl").read_bytes().splitlines() for name in BUILT_IN}

exchange = st.sampled_from(list(BUILT_IN.values()))
NAMES = ["e", "s", "t", "p", "q", "T", "m", "M", "data", "events", "trades", "channel", "event", "type"]
document = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.sampled_from(
                ["e", "s", "t", "p", "q", "T", "m", "M", "data", "events", "trades", "channel", "event"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
decimal = st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,18})?", fullmatch=True)


@st.composite
def mutated(draw, name):
    """A real frame with pieces cut out, doubled, or replaced by arbitrary bytes or another frame's piece."""
    frame = draw(st.sampled_from(FRAMES[name]))
    for _ in range(draw(st.integers(1, 3))):
        start, stop = sorted(draw(st.tuples(*[st.integers(0, len(frame))] * 2)))
        other = draw(st.sampled_from(FRAMES[name]))
        piece = draw(
            st.sampled_from(
                [b"", b"null", b"[]", b"{}", b'""', b"-1", b"1e400", b"\xff", frame[start:stop], other]
            )
            | st.binary(max_size=6)
        )
        frame = frame[:start] + piece + frame[stop:]
    return frame


def check(exchange, data):
    frame = exchange.parse(data)
    assert isinstance(frame, Frame)
    assert not frame.trades or frame.kind is Kind.TRADES
    assert (frame.kind is Kind.REJECTED) == (bool(frame.rejects) and not frame.trades)
    assert all(reject.cause and len(reject.cause) <= 200 for reject in frame.rejects)
    records, bad = raw.decode(exchange, [raw.record(trade, 1, "a-1", 7) for trade in frame.trades])
    assert not bad
    columns = exchange.normalize(records)
    assert columns.symbol == [trade.symbol for trade in frame.trades]
    assert columns.receive_time == [1] * len(columns)
    assert all(0 <= time < raw.TIME_LIMIT for time in columns.timestamp)
    assert all(0 <= number < 2**63 for number in columns.sequence)
    assert all(isinstance(text, str) for text in columns.price + columns.quantity)
    assert all(exchange.canonical(symbol) for symbol in columns.symbol)


@given(exchange, st.binary(max_size=64))
def test_parse_answers_any_bytes(exchange, data):
    check(exchange, data)


@given(exchange, document)
def test_parse_answers_any_json(exchange, value):
    check(exchange, json.dumps(value).encode())


@pytest.mark.parametrize("name", BUILT_IN)
@given(st.data())
def test_parse_answers_any_mutation_of_a_real_frame(name, data):
    check(BUILT_IN[name], data.draw(mutated(name)))


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"data":', b'{"stream":"x","data":{"e":"trade","x":'])
def test_deep_nesting_is_rejected(name, opening):
    assert BUILT_IN[name].parse(opening * 100_000).kind is Kind.REJECTED


@pytest.mark.parametrize("name", BUILT_IN)
def test_huge_numbers_and_texts_are_answered(name):
    for text in (b"9" * 5_000, b'"' + b"x" * 1_000_000 + b'"'):
        for field in (b"e", b"code", b"msg", b"error", b"channel", b"event", b"sequence_num", b"type"):
            check(BUILT_IN[name], b'{"%b":%b}' % (field, text))


@pytest.mark.parametrize("name", BUILT_IN)
def test_invalid_utf8_is_rejected_wherever_it_is(name):
    for frame in FRAMES[name]:
        spoiled = frame.replace(b'"', b'"\xff', 1)
        assert BUILT_IN[name].parse(spoiled).kind is Kind.REJECTED


@given(decimal, decimal)
def test_digits_survive(price, quantity):
    native = {
        "binance": f'{{"e":"trade","s":"A","t":1,"p":"{price}","q":"{quantity}","T":1,"m":true,"M":true}}',
        "kraken": f'[0,[["{price}","{quantity}","1","b","l",""]],"trade","A/B"]',
        "coinbase": '{"channel":"market_trades","events":[{"type":"update","trades":[{"trade_id":"1",'
        f'"product_id":"A-B","price":"{price}","size":"{quantity}","side":"BUY","time":"2026-01-02T03:04:05Z"}}'
        "]}]}",
    }
    for name, frame in native.items():
        trades = BUILT_IN[name].parse(frame.encode()).trades
        records, _ = raw.decode(BUILT_IN[name], [raw.record(trade, 1, "c", 0) for trade in trades])
        columns = BUILT_IN[name].normalize(records)
        assert (columns.price, columns.quantity) == ([price], [quantity])


GOOD = b'{"e":"trade","s":"A","t":1,"p":"1","q":"1","T":1,"m":true,"k2_recv":1,"k2_conn":"c","k2_seq":0}'
BAD = [b"", b" ", b"{}", b"[]", b"null", GOOD[:-1], b'"k2_seq":2}', GOOD + b"," + GOOD, GOOD + b"\n" + GOOD]
OPEN = [GOOD[:-1] + b',"x":[{}', b'{"x":[{}', GOOD[:-1] + b',"x":"}', GOOD[:-1] + b',"x":{"y":1}']
CLOSE = [b"{}]}", b",{}]}", b'{"}', b"}", b"\n"]


@given(st.lists(st.sampled_from([GOOD, GOOD, *BAD, *OPEN, *CLOSE, None]) | st.binary(max_size=4), max_size=7))
@example([GOOD[:-1] + b',"x":[{}', b"{}]}", GOOD + b"," + GOOD])
@example([GOOD[:-1] + b',"x":[{}', b",{}]}", GOOD + b"\n" + GOOD])
@example([GOOD[:-1] + b',"x":"}', b'{"}', GOOD + GOOD])
def test_joined_decoding_equals_one_by_one(values):
    binance = BUILT_IN["binance"]
    records, bad = raw.decode(binance, values)
    single = [raw.decode(binance, [value]) for value in values]
    assert records == [record for records, _ in single for record in records]
    assert bad == {index: causes[0] for index, (_, causes) in enumerate(single) if causes}
    assert len(records) + len(bad) == len(values)
    for value in values:
        if value in (BAD[-1], BAD[-2]):
            assert bad
