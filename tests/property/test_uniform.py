"""The columnar normaliser either gives exactly what the record-by-record one gives, or refuses the batch."""

import numpy as np
import pytest
from faust.types import TP
from hypothesis import currently_in_test_context, event, example, given, settings
from hypothesis import strategies as st

from k2stream import exchanges
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.columnar.layout import NotColumnar
from k2stream.columnar.scan import Scan
from k2stream.normalizer import SymbolPosition, records, uniform
from k2stream.normalizer.continuity import ContinuityState, Ids

BINANCE = exchanges.get("binance")
assert BINANCE.layout is not None
LAYOUT = BINANCE.layout
NOW = 1_700_000_000_000_000
OPTIONS = {"schema_id": 1003, "process_time": NOW}
registry.learn(1003, wire.declared("trade"))

digits = st.integers(0, 10**18).map(str)
decimal = st.one_of(
    st.tuples(st.integers(0, 10**5), st.integers(0, 10**8 - 1)).map(lambda pair: f"{pair[0]}.{pair[1]:08d}"),
    st.tuples(st.integers(0, 10**6), digits).map(lambda pair: f"{pair[0]}.{pair[1]}"),
)
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "DOGEUSDT", "1000SATSUSDT", "ETHBTC"])


@st.composite
def batches(draw):
    """Trades whose ids mostly go on by ones, and the positions before them."""
    highs = {}
    values = []
    for _ in range(draw(st.integers(1, 12))):
        symbol = draw(symbols)
        highs.setdefault(symbol, draw(st.sampled_from([0, 7, 99, 10**12])))
        step = draw(st.sampled_from([1] * 60 + [0, 2]))
        count = sum(symbol.encode() in value for value in values)
        time = NOW // 1000 + draw(st.sampled_from([0, -5, 17] * 20 + [400_000]))
        time *= draw(st.sampled_from([1] * 6 + [1000]))
        values.append(
            b'{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%s","q":"%s","T":%d,"m":%s,"M":true,'
            b'"k2_recv":%d,"k2_conn":"c-1","k2_seq":%d}'
            % (
                time,
                symbol.encode(),
                highs[symbol] + count + step,
                draw(decimal).encode(),
                draw(decimal).encode(),
                time,
                draw(st.sampled_from([b"true", b"false"])),
                NOW,
                len(values),
            )
        )
    return values, highs


def both(values, highs, first_offset=5):
    """Columnar and record by record; None for a refusal."""
    batch = RecordBatch(
        TP("raw", 1),
        np.arange(first_offset, first_offset + len(values)),
        np.full(len(values), NOW // 1000),
        [b"BTCUSDT"] * len(values),
        values,
    )
    known = {
        name: SymbolPosition(4, ContinuityState({"": Ids(high, [(0, 3)])})) for name, high in highs.items()
    }
    slow = records.normalize(BINANCE, batch, known.get, BINANCE.canonical, **OPTIONS)
    try:
        fast = uniform.normalize(BINANCE, LAYOUT, batch, known.get, BINANCE.canonical, **OPTIONS)
    except NotColumnar as refusal:
        note(f"refused: {str(refusal)[:30]}")
        return None, slow
    note("by column")
    return fast, slow


def note(what):
    if currently_in_test_context():
        event(what)


def same(fast, slow):
    assert fast.receive_time.tolist() == slow.receive_time.tolist()
    for name in ("keys", "values", "dead_letters", "events", "positions", "newest", "replayed"):
        assert getattr(fast, name) == getattr(slow, name), name


@settings(max_examples=3 * settings().max_examples)
@given(batches())
def test_equal_or_refused(made):
    fast, slow = both(*made)
    if fast is not None:
        same(fast, slow)


@settings(max_examples=5 * settings().max_examples)
@given(batches(), st.data())
def test_a_changed_byte_is_never_read_differently(made, data):
    values, highs = made
    row = data.draw(st.integers(0, len(values) - 1))
    at = data.draw(st.integers(0, len(values[row]) - 1))
    put = data.draw(
        st.sampled_from(
            [bytes([byte]) for byte in range(32, 127)] * 3
            + [b"\n", b"\0", b"\xff"]
            + [b"", b'","', b'":"', b"00", b"1e5"]
        )
    )
    values[row] = values[row][:at] + put + values[row][at + data.draw(st.integers(0, 2)) :]
    fast, slow = both(values, highs)
    if fast is not None:
        same(fast, slow)


PLAIN = (
    b'{"e":"trade","E":1700000000000,"s":"BTCUSDT","t":8,"p":"1.50","q":"2.5","T":1700000000000,"m":true,'
    b'"M":true,"k2_recv":1700000000000000,"k2_conn":"c-1","k2_seq":1}'
)
NEXT = PLAIN.replace(b'"t":8', b'"t":9')


def test_the_usual_batch_is_read_by_column():
    fast, slow = both([PLAIN, NEXT], {"BTCUSDT": 7})
    same(fast, slow)
    assert len(fast.values) == 2


@pytest.mark.parametrize("marked", [[0], [1], [0, 1]])
def test_a_trade_that_was_fetched_is_not_read_by_column(marked):
    values = [PLAIN, NEXT]
    for row in marked:
        values[row] = values[row][:-1] + b',"k2_backfilled":true}'
    fast, slow = both(values, {"BTCUSDT": 7})
    assert fast is None
    assert len(slow.values) == 2


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([PLAIN, None], id="tombstone"),
        pytest.param([PLAIN, NEXT.replace(b"2.5", b"2.\xff5")], id="bytes beyond ASCII"),
        pytest.param([PLAIN, NEXT.replace(b"c-1", b"c\\n1")], id="escape"),
        pytest.param([PLAIN, NEXT.replace(b"c-1", b"c\n1")], id="line break"),
        pytest.param([PLAIN, NEXT.replace(b'"t":9', b'"t":09')], id="leading zero"),
        pytest.param([PLAIN, NEXT.replace(b'"t":9', b'"t":-9')], id="sign"),
        pytest.param([PLAIN, NEXT.replace(b'"t":9', b'"t":9.0')], id="fraction"),
        pytest.param([PLAIN, NEXT.replace(b'"k2_seq":1', b'"k2_seq":1x')], id="field nobody asks for"),
        pytest.param([PLAIN, NEXT.replace(b"true", b"tru3")], id="no boolean"),
        pytest.param([PLAIN, NEXT.replace(b'"e":"trade"', b'"e":"other"')], id="other kind"),
        pytest.param([PLAIN, NEXT.replace(b'"M":true', b'"N":true')], id="other name"),
        pytest.param([PLAIN, NEXT[:-1] + b"]"], id="no object"),
        pytest.param([PLAIN, NEXT.replace(b"2.5", b"0.0")], id="zero quantity"),
        pytest.param([PLAIN, NEXT.replace(b'"T":1700000000000', b'"T":0')], id="time 0"),
        pytest.param([PLAIN, NEXT.replace(b"2.5", b"2")], id="no point"),
        pytest.param([PLAIN, NEXT.replace(b"2.5", b"1.2.5")], id="two points"),
        pytest.param([PLAIN, PLAIN], id="repeat"),
        pytest.param([PLAIN, NEXT.replace(b'"t":9', b'"t":10')], id="gap"),
        pytest.param([PLAIN, NEXT.replace(b"BTCUSDT", b"ETHUSDT")], id="new symbol"),
        pytest.param([PLAIN.replace(b'"s"', b'"E"')], id="field twice"),
        pytest.param([PLAIN.replace(b'"E"', b'"a"')], id="order id"),
        pytest.param([b"[]", b"[]"], id="no objects at all"),
        pytest.param([b"", PLAIN], id="empty value"),
    ],
)
def test_what_is_not_usual_is_refused(values):
    fast, _ = both(values, {"BTCUSDT": 7})
    assert fast is None


def test_what_is_remembered_by_column_is_what_is_compared_record_by_record():
    fast, slow = both([PLAIN, NEXT], {"BTCUSDT": 7})
    same(fast, slow)
    repeat, other = NEXT.replace(b"2.5", b"2.500"), PLAIN.replace(b"1.50", b"1.51")
    again: list[bytes | None] = [repeat, other]
    batch = RecordBatch(TP("raw", 1), np.arange(9, 11), np.full(2, NOW // 1000), [b"BTCUSDT"] * 2, again)
    done = records.normalize(BINANCE, batch, fast.positions.get, BINANCE.canonical, **OPTIONS)
    assert len(done.values) == 1 and {item.kind for item in done.events} == {"duplicate", "restart"}


def test_after_a_restart_of_ids_batches_are_read_record_by_record():
    state = ContinuityState({"": Ids(7, [(0, 6)], NOW, epoch=1)})
    batch = RecordBatch(TP("raw", 1), np.arange(5, 7), np.full(2, NOW // 1000), [b""] * 2, [PLAIN, NEXT])
    with pytest.raises(NotColumnar, match="started again"):
        uniform.normalize(
            BINANCE, LAYOUT, batch, lambda _: SymbolPosition(4, state), BINANCE.canonical, **OPTIONS
        )


def test_a_replay_is_refused():
    fast, slow = both([PLAIN, NEXT], {"BTCUSDT": 7}, first_offset=4)
    assert fast is None
    assert slow.replayed == 1


@given(st.lists(st.integers(0, 10**16 - 1), min_size=1, max_size=20))
@example([10**16 - 1, 0, 9, 10**8, 10**8 - 1])
def test_integers(numbers):
    scan = Scan([b'{"n":%d}' % number for number in numbers])
    assert scan.integers("n").tolist() == numbers


@given(st.lists(st.tuples(st.integers(0, 10**9), st.text("0123456789", min_size=1, max_size=8)), min_size=1))
def test_decimals(pairs):
    read = Scan([f'{{"p":"{whole}.{part}"}}'.encode() for whole, part in pairs]).decimals("p")
    expected = [whole * 10**read.scale + int(part.ljust(read.scale, "0")) for whole, part in pairs]
    assert read.mantissa.tolist() == expected


@given(st.lists(st.text("AB01", min_size=1, max_size=16), min_size=1))
def test_codes(names):
    found, code = Scan([f'{{"s":"{name}"}}'.encode() for name in names]).codes("s")
    assert [found[number] for number in code.tolist()] == names
    assert len(set(found)) == len(found)
