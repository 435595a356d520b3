"""The type parser and the skipper: where a column of a Native block ends, however its bytes arrive."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.embedded.clickhouse.reader import BytesReader, MalformedError, reader_of
from k2stream.embedded.clickhouse.types import (
    Array,
    Fixed,
    LowCardinality,
    Nullable,
    TextType,
    Tuple,
    UnsupportedTypeError,
    parse_type,
    skip_prefix,
    skip_values,
    split_arguments,
)


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("UInt8", Fixed(1)),
        ("Decimal(9, 2)", Fixed(4)),
        ("Decimal(18, 8)", Fixed(8)),
        ("Decimal(38, 18)", Fixed(16)),
        ("Decimal(76, 36)", Fixed(32)),
        ("DateTime64(6, 'UTC')", Fixed(8)),
        ("DateTime('Europe/Berlin')", Fixed(4)),
        ("Enum8('buy' = 1, 'a\\'),(' = 2)", Fixed(1)),
        ("Enum16('x' = 1000)", Fixed(2)),
        ("FixedString(7)", Fixed(7)),
        ("IntervalMinute", Fixed(8)),
        ("Nullable(String)", Nullable(TextType())),
        ("LowCardinality(Nullable(String))", LowCardinality(TextType())),
        ("Map(String, Nullable(Int32))", Array(Tuple((TextType(), Nullable(Fixed(4)))))),
        ("Tuple(a UInt8, `b c` Array(String))", Tuple((Fixed(1), Array(TextType())))),
        ("Tuple(UInt8, Enum8('a b' = 1))", Tuple((Fixed(1), Fixed(1)))),
        ("Tuple()", Fixed(1)),
        ("Nested(id UInt64, name String)", Array(Tuple((Fixed(8), TextType())))),
        ("SimpleAggregateFunction(sum, Decimal(38, 18))", Fixed(16)),
        ("Ring", Array(Tuple((Fixed(8), Fixed(8))))),
    ],
)
def test_layout_of_a_type(text, layout):
    assert parse_type(text) == layout


@pytest.mark.parametrize(
    "text",
    [
        "AggregateFunction(sum, UInt64)",
        "JSON",
        "Variant(String, UInt8)",
        "Array(Dynamic)",
        "Array(String",
        "Array()",
        "Map(String)",
        "FixedString(x)",
        "Decimal",
        "",
        "Array(" * 100 + "UInt8" + ")" * 100,
    ],
)
def test_a_type_that_cannot_be_walked_is_refused(text):
    with pytest.raises(UnsupportedTypeError, match="not supported"):
        parse_type(text)


def test_arguments_are_split_outside_of_parentheses_and_quotes():
    assert split_arguments("a, f(b, c), 'd, (', `e\\`, `") == ["a", "f(b, c)", "'d, ('", "`e\\`, `"]


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


FIXED = {"UInt8": 1, "Date": 2, "Decimal(9, 1)": 4, "DateTime64(6)": 8, "UUID": 16, "Decimal(76, 36)": 32}


def columns(depth=3):
    """(type, prefix, encoder of n rows' values drawn by `draw`), an independent account of the layout."""
    fixed = st.sampled_from(sorted(FIXED.items())).map(
        lambda kind: (
            kind[0],
            b"",
            lambda draw, n: draw(st.binary(min_size=n * kind[1], max_size=n * kind[1])),
        )
    )
    strings = st.just(("String", b"", encode_strings))
    low = st.just(("LowCardinality(Nullable(String))", struct.pack("<Q", 1), encode_low_cardinality))
    if not depth:
        return st.one_of(fixed, strings, low)
    inner = columns(depth - 1)
    return st.one_of(
        fixed,
        strings,
        low,
        inner.map(lambda c: (f"Array({c[0]})", c[1], array_of(c[2]))),
        st.tuples(inner, inner).map(
            lambda pair: (
                f"Map({pair[0][0]}, {pair[1][0]})",
                pair[0][1] + pair[1][1],
                array_of(tuple_of(pair)),
            )
        ),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda items: (
                f"Tuple({', '.join(f'f{i} {kind}' for i, (kind, _, _) in enumerate(items))})",
                b"".join(prefix for _, prefix, _ in items),
                tuple_of(items),
            )
        ),
        inner.map(lambda c: (f"Nullable({c[0]})", c[1], lambda draw, n: bytes(n) + c[2](draw, n))),
    )


def encode_strings(draw, rows):
    sizes = draw(st.lists(st.sampled_from([0, 1, 127, 128, 300, 20_000]), min_size=rows, max_size=rows))
    return b"".join(varint(size) + b"\xff" * size for size in sizes)


def encode_low_cardinality(draw, rows):
    if not rows:
        return b""
    width = draw(st.integers(0, 3))
    return (
        struct.pack("<QQ", 0x600 | width, 2) + b"\x00\x03abc" + struct.pack("<Q", rows) + bytes(rows << width)
    )


def array_of(encode):
    def values(draw, rows):
        ends, end = [], 0
        for size in draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)):
            end += size
            ends.append(end)
        return struct.pack(f"<{rows}Q", *ends) + encode(draw, end)

    return values


def tuple_of(items):
    return lambda draw, rows: b"".join(encode(draw, rows) for _, _, encode in items)


@given(columns(), st.integers(0, 5), st.integers(1, 5000), st.data())
async def test_skipping_a_column_ends_at_its_last_byte(column, rows, chunk, data):
    text, prefix, encode = column
    raw = (prefix + encode(data.draw, rows)) if rows else b""
    stream = iter([raw[i : i + chunk] for i in range(0, len(raw), chunk)])

    async def source():
        return next(stream, b"")

    reader = BytesReader(source)
    kind = parse_type(text)
    if rows:
        await skip_prefix(reader, kind)
        await skip_values(reader, kind, rows)
    assert reader.take() == raw
    assert not reader.buffer
    with pytest.raises(EOFError):
        await reader.skip(1)


@given(st.lists(st.binary(max_size=400)), st.integers(1, 50))
async def test_strings_are_walked_whatever_the_chunks(strings, chunk):
    raw = b"".join(varint(len(value)) + value for value in strings)
    pieces = [raw[i : i + chunk] for i in range(0, len(raw), chunk)]

    async def source():
        return pieces.pop(0) if pieces else b""

    reader = BytesReader(source)
    await reader.skip_strings(len(strings))
    assert reader.take() == raw


@pytest.mark.parametrize("raw", [b"\xff" * 20, b"\xff\xff\xff\xff\xff\xff\x01"])
async def test_absurd_lengths_are_malformed_not_waited_for(raw):
    with pytest.raises(MalformedError):
        await reader_of(raw).bytestring()
    with pytest.raises(MalformedError):
        await reader_of(raw).skip_strings(1)


async def test_a_block_past_the_limit_is_malformed():
    async def source():
        return b"\x01x" * 50

    with pytest.raises(MalformedError, match="more than 1000 bytes"):
        await BytesReader(source, limit=1000).skip_strings(10_000)
    with pytest.raises(MalformedError, match="more than 1000 bytes"):
        await skip_values(BytesReader(source, limit=1000), Fixed(16), 63)
