"""ClickHouse column types, with just enough detail to find the end of their values in a Native block.

Layouts: ClickHouse's src/DataTypes/Serializations, serializeBinaryBulk of each type.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from k2stream.embedded.clickhouse.reader import BytesReader
from k2stream.model.errors import BadData

MAX_DEPTH = 64

WIDTHS = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Date", "BFloat16", "Enum16"), 2),
    **dict.fromkeys(("UInt32", "Int32", "Float32", "Date32", "DateTime", "Time", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("UInt256", "Int256", "Decimal256"), 32),
}
ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}
FIELD_NAME = re.compile(r"(?:\w+|`(?:[^`\\]|\\.)*`)\s+(?=[A-Z])")


class UnsupportedTypeError(BadData):
    """A type whose values this server cannot skip (AggregateFunction, JSON, Variant, …)."""


@dataclass(frozen=True, slots=True)
class Fixed:
    width: int


@dataclass(frozen=True, slots=True)
class TextType:
    pass


@dataclass(frozen=True, slots=True)
class Nullable:
    inner: "ColumnType"


@dataclass(frozen=True, slots=True)
class Array:
    inner: "ColumnType"


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple["ColumnType", ...]


@dataclass(frozen=True, slots=True)
class LowCardinality:
    keys: "ColumnType"


ColumnType = Fixed | TextType | Nullable | Array | Tuple | LowCardinality


@lru_cache(4096)
def parse_type(text: str) -> ColumnType:
    """Parse the name of a type, e.g. `Map(String, Nullable(Decimal(38, 18)))`.

    Raises UnsupportedTypeError.
    """
    return _parse(text.strip(), text, MAX_DEPTH)


def _parse(text: str, whole: str, depth: int) -> ColumnType:  # noqa: C901 - one case per kind
    def inner(argument: str) -> ColumnType:
        return _parse(argument, whole, depth - 1)

    def fields() -> Tuple:
        return Tuple(tuple(inner(FIELD_NAME.sub("", argument, count=1)) for argument in arguments))

    text = ALIASES.get(text, text)
    name, opened, rest = text.partition("(")
    arguments = split_arguments(rest[:-1]) if opened and rest.endswith(")") else []
    match name, arguments:
        case _ if not depth:
            pass
        case "Decimal", [precision, *_] if precision.isdigit():
            return Fixed(next(width for most, width in ((9, 4), (18, 8), (38, 16), (1 << 62, 32))
                              if int(precision) <= most))  # fmt: skip
        case _ if name in WIDTHS:
            return Fixed(WIDTHS[name])
        case _ if name.startswith("Interval"):
            return Fixed(8)
        case "String", []:
            return TextType()
        case "FixedString", [width] if width.isdigit():
            return Fixed(int(width))
        case "Nullable", [argument]:
            return Nullable(inner(argument))
        case "Array", [argument]:
            return Array(inner(argument))
        case "Tuple", [""]:
            return Fixed(1)
        case "Tuple", [_, *_]:
            return fields()
        case "Nested", [_, *_]:
            return Array(fields())
        case "Map", [key, value]:
            return Array(Tuple((inner(key), inner(value))))
        case "SimpleAggregateFunction", [_, argument]:
            return inner(argument)
        case "LowCardinality", [argument]:
            keys = inner(argument)  # a NULL is a key of the dictionary, so there is no null map
            return LowCardinality(keys.inner if isinstance(keys, Nullable) else keys)
    raise UnsupportedTypeError(f"type {whole} is not supported by the embedded server")


def split_arguments(text: str) -> list[str]:
    """Split at the commas outside parentheses and quotes."""
    parts, depth, start, quote, escaped = [], 0, 0, "", False
    for i, char in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\"
            quote = "" if char == quote else quote
        elif char in "'`\"":
            quote = char
        elif char == "," and not depth:
            parts.append(text[start:i].strip())
            start = i + 1
        else:
            depth += (char == "(") - (char == ")")
    return [*parts, text[start:].strip()]


async def skip_prefix(reader: BytesReader, kind: ColumnType) -> None:
    """Skip the prefix of a column's values: the dictionary version of each LowCardinality."""
    match kind:
        case LowCardinality():
            await reader.skip(8)
        case Nullable(inner) | Array(inner):
            await skip_prefix(reader, inner)
        case Tuple(items):
            for item in items:
                await skip_prefix(reader, item)


async def skip_values(reader: BytesReader, kind: ColumnType, rows: int) -> None:
    """Skip the values of `rows` rows."""
    match kind:
        case _ if not rows:
            pass
        case Fixed(width):
            await reader.skip(rows * width)
        case TextType():
            await reader.skip_strings(rows)
        case Nullable(inner):
            await reader.skip(rows)
            await skip_values(reader, inner, rows)
        case Array(inner):  # end offset of each row's elements, then all elements
            await reader.skip((rows - 1) * 8)
            await skip_values(reader, inner, await reader.integer(8))
        case Tuple(items):
            for item in items:
                await skip_values(reader, item, rows)
        case LowCardinality(keys):
            flags = await reader.integer(8)
            await skip_values(reader, keys, await reader.integer(8))
            await reader.skip(await reader.integer(8) << (flags & 3))  # flags & 3: log2 of the index width
