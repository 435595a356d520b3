"""Native blocks are held to clickhouse-driver's own, byte for byte."""

from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest
from clickhouse_driver.columns.service import write_column
from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.clickhouse import native

CONTEXT = SimpleNamespace(
    client_settings={
        "strings_as_bytes": False,
        "strings_encoding": "utf-8",
        "use_numpy": False,
        "input_format_null_as_default": False,
        "opentelemetry_traceparent": None,
    },
    settings={},
    server_info=SimpleNamespace(get_timezone=lambda: "UTC", used_revision=54448, session_timezone=None),
)


class Buffer(bytearray):
    def write(self, data):
        self.extend(data)

    def write_strings(self, items, encoding=None):
        for item in items:
            data = item.encode(encoding)
            size = len(data)
            while size > 127:
                self.append(size & 127 | 128)
                size >>= 7
            self.append(size)
            self.extend(data)


def drivers(kind, values):
    buffer = Buffer()
    write_column(CONTEXT, "column", kind, values, buffer)
    return bytes(buffer)


TEXT = st.text(max_size=8) | st.text(min_size=120, max_size=140) | st.just("é" * 9000)
MONEY = st.decimals(-(10**20) + 1, 10**20 - 1, places=18)
CASES = [
    ("String", pa.string(), TEXT),
    ("LowCardinality(String)", pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "bb", ""])),
    (
        "LowCardinality(Nullable(String))",
        pa.dictionary(pa.int32(), pa.string()),
        st.none() | st.sampled_from(["a", "bb", ""]),
    ),
    ("Int64", pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    ("Int32", pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    ("UInt16", pa.int32(), st.integers(0, 2**16 - 1)),
    ("Nullable(Int64)", pa.int64(), st.none() | st.integers(-(2**63), 2**63 - 1)),
    ("Nullable(String)", pa.string(), st.none() | TEXT),
    ("Bool", pa.bool_(), st.booleans()),
    ("Nullable(Bool)", pa.bool_(), st.none() | st.booleans()),
    ("Decimal(38, 18)", pa.decimal128(38, 18), MONEY),
    ("Decimal(76, 18)", pa.decimal128(38, 18), MONEY),
    ("Array(String)", pa.list_(pa.string()), st.lists(TEXT, max_size=3)),
    ("Map(String, String)", pa.map_(pa.string(), pa.string()), st.dictionaries(TEXT, TEXT, max_size=3)),
    (
        "Map(String, Int64)",
        pa.map_(pa.string(), pa.int64()),
        st.dictionaries(TEXT, st.integers(0, 9), max_size=3),
    ),
    ("Enum8('BUY' = 1, 'SELL' = 2)", pa.string(), st.sampled_from(["BUY", "SELL"])),
]


@pytest.mark.parametrize(("kind", "arrow", "strategy"), CASES, ids=[case[0] for case in CASES])
@settings(deadline=None)
@given(data=st.data())
def test_as_the_driver_writes_it(kind, arrow, strategy, data):
    values = data.draw(st.lists(strategy, min_size=1, max_size=20))
    given = [list(value.items()) for value in values] if pa.types.is_map(arrow) else values
    skip = data.draw(st.integers(0, 2))
    array = pa.array([*given[:1] * skip, *given], arrow).slice(skip)  # buffers that begin elsewhere
    wanted = [int(value) if value is not None and "Bool" in kind else value for value in values]
    assert native.column(array, kind) == drivers(kind.replace("Bool", "UInt8"), wanted)


def test_many_words_widen_the_index():
    words = [f"w{number}" for number in range(300)]
    encoded = native.column(pa.array(words).dictionary_encode(), "LowCardinality(String)")
    assert encoded[:8] == (1).to_bytes(8, "little")
    assert encoded[8] == 1  # 16-bit indexes
    assert encoded[-600:] == b"".join(number.to_bytes(2, "little") for number in range(300))


def test_times_are_scaled_to_the_column():
    times = pa.array([1_700_000_000_123_000], pa.timestamp("us", tz="UTC"))
    assert native.column(times, "DateTime64(3, 'UTC')") == (1_700_000_000_123).to_bytes(8, "little")
    with pytest.raises(pa.ArrowInvalid):
        native.column(pa.array([1], pa.timestamp("us", tz="UTC")), "DateTime64(3, 'UTC')")


def test_what_does_not_fit_is_refused():
    with pytest.raises(native.UnsupportedType, match="IPv4"):
        native.column(pa.array([1]), "IPv4")
    with pytest.raises(pa.ArrowInvalid, match="'HOLD'"):
        native.column(pa.array(["HOLD"]), "Enum8('BUY' = 1)")
    with pytest.raises(native.UnsupportedType, match=r"Decimal\(9, 2\)"):
        native.column(pa.array([Decimal("1.00")]), "Decimal(9, 2)")
