"""Encodes Arrow columns in ClickHouse's Native format without a Python object per value.

Format: https://clickhouse.com/docs/interfaces/formats/Native
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from k2stream.model.errors import BadData

_FIXED = {
    f"{sign}Int{bits}": f"<{sign.lower() or 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)
} | {"Float64": "<f8"}
_DATETIME64 = re.compile(r"DateTime64\((\d)")
_DECIMAL = re.compile(r"Decimal\((\d+), *(\d+)\)")
_ENUM_ITEM = re.compile(r"'((?:[^'\\]|\\.)*)' *= *(-?\d+)")
_UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}

_DICTIONARY_VERSION = np.int64(1)
_ADDITIONAL_KEYS = 1 << 9 | 1 << 10


class UnsupportedType(BadData, TypeError):
    """A column's ClickHouse type that this module cannot encode."""


def column(array: pa.Array, kind: str) -> bytes:
    """A non-empty column in the wire format of ClickHouse type `kind`, including the prefix.

    Raises UnsupportedType for a type that no table here uses, ArrowInvalid when a value does not fit.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return b"".join((*_prefix(kind), *_data(array, kind)))


def _prefix(kind: str) -> Iterator[bytes]:
    name, inner = _split(kind)
    if name == "LowCardinality":
        yield _DICTIONARY_VERSION.tobytes()
    elif name in ("Array", "Nullable"):
        yield from _prefix(inner)
    elif name == "Map":
        for part in _arguments(inner):
            yield from _prefix(part)


def _data(array: pa.Array, kind: str) -> Iterator[bytes]:
    name, inner = _split(kind)
    if name == "Nullable":
        yield pc.is_null(array).cast(pa.uint8()).to_numpy().tobytes()
        yield from _data(_filled(array), inner)
    elif name == "LowCardinality":
        yield from _dictionary(array, inner)
    elif name == "String":
        yield _strings(_decoded(array))
    elif name == "Array":
        yield _ends(array)
        yield from _data(array.flatten(), inner)
    elif name == "Map":
        keys, items = _arguments(inner)
        yield _ends(array)
        start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
        yield from _data(array.keys.slice(start, stop - start), keys)
        yield from _data(array.items.slice(start, stop - start), items)
    elif name.startswith("Enum"):
        yield _enum(array, inner, np.dtype(np.int8 if name == "Enum8" else np.int16))
    elif name == "Bool":
        yield array.cast(pa.uint8()).to_numpy().tobytes()
    elif name == "Decimal":
        yield _decimals(array, kind)
    elif name == "DateTime64":
        precision = _DATETIME64.match(kind)
        unit = _UNITS[int(precision[1])] if precision else "ms"
        yield array.cast(pa.timestamp(unit, tz="UTC")).cast(pa.int64()).to_numpy().tobytes()
    elif name in _FIXED:
        yield array.to_numpy().astype(_FIXED[name], copy=False).tobytes()
    else:
        raise UnsupportedType(f"ClickHouse type {kind} has no encoding in k2stream/clickhouse/native.py")


def _split(kind: str) -> tuple[str, str]:
    name, _, rest = kind.partition("(")
    return name, rest[:-1]


def _arguments(inner: str) -> list[str]:
    depth, parts, start = 0, [], 0
    for index, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(inner[start:index].strip())
            start = index + 1
    return [*parts, inner[start:].strip()]


def _filled(array: pa.Array) -> pa.Array:
    zero = pa.scalar("" if pa.types.is_string(array.type) else 0).cast(array.type)
    return array.fill_null(zero)


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _offsets(array: pa.Array) -> NDArray[np.int64]:
    offsets: NDArray[np.int64] = array.offsets.to_numpy().astype(np.int64)
    return offsets


def _ends(array: pa.Array) -> bytes:
    offsets = _offsets(array)
    return bytes((offsets[1:] - offsets[0]).astype("<u8"))


def _strings(array: pa.Array) -> bytes:
    """Each string after its length as a varint; lengths and bytes are placed column by column."""
    count = len(array)
    if not count:
        return b""
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[array.offset : array.offset + count + 1].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    lengths = np.diff(offsets)
    widths = np.ones(count, np.int64)
    for bits in (7, 14, 21, 28):
        widths += lengths >> bits > 0
    starts = offsets[:-1] - offsets[0]
    starts[1:] += np.cumsum(widths[:-1])
    out = np.empty(len(data) + int(widths.sum()), np.uint8)
    is_data = np.ones(len(out), np.bool_)
    for byte in range(int(widths.max())):
        longer = widths > byte
        at = starts[longer] + byte
        more = (widths[longer] > byte + 1).astype(np.int64) << 7
        out[at] = lengths[longer] >> 7 * byte & 127 | more
        is_data[at] = False
    out[is_data] = data
    return out.tobytes()


def _dictionary(array: pa.Array, inner: str) -> Iterator[bytes]:
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    if not len(array):
        return
    words, indices = array.dictionary, array.indices
    name, nested = _split(inner)
    if name == "Nullable":  # word 0 stands for null, and the words are not nullable
        inner, words = nested, pa.concat_arrays([_filled(pa.nulls(1, words.type)), words])
        indices = pc.add(indices, 1).fill_null(0)
    width = next(code for code in range(4) if len(words) <= 1 << (8 << code))
    yield np.array([_ADDITIONAL_KEYS | width, len(words)], "<i8").tobytes()
    yield from _data(words, inner)
    yield np.int64(len(array)).tobytes()
    yield indices.to_numpy().astype(f"<u{1 << width}").tobytes()


def _enum(array: pa.Array, inner: str, dtype: np.dtype[np.signedinteger]) -> bytes:
    codes = {name: int(code) for name, code in _ENUM_ITEM.findall(inner)}
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    unknown = [word for word in words if word not in codes]
    if unknown:
        raise pa.ArrowInvalid(f"{unknown[0]!r} is no value of Enum({inner})")
    table = np.array([codes[word] for word in words], dtype)
    return bytes(table[encoded.indices.to_numpy()])


def _decimals(array: pa.Array, kind: str) -> bytes:
    match = _DECIMAL.match(kind)
    if match is None or int(match[1]) <= 18:
        raise UnsupportedType(f"ClickHouse type {kind}: only Decimal(19 to 76, S) is encoded")
    array = array.cast(pa.decimal128(min(int(match[1]), 38), int(match[2])))
    narrow = memoryview(array.buffers()[1])[16 * array.offset : 16 * (array.offset + len(array))]
    return narrow.tobytes() if int(match[1]) <= 38 else _widened(narrow)


def _widened(narrow: memoryview) -> bytes:
    """16-byte integers as 32-byte ones, sign-extended."""
    halves = np.frombuffer(narrow, "<i8").reshape(-1, 2)
    wide = np.empty((len(halves), 4), "<i8")
    wide[:, :2] = halves
    wide[:, 2:] = halves[:, 1:] >> 63
    return wide.tobytes()
