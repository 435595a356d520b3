"""JSON objects that are all of one shape, to Arrow columns without a Python object a record.

As in exchanges/scan.py the first record says where fields and literal text are, and every other one is
checked to have them there; here strings may be of any length, and few arrays are larger than what malloc
keeps: each time it maps one the system has to clear it, which takes longer than the work on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from k2stream.columnar.scan import Misfit, eight_digits
from k2stream.columnar.strings import strings
from k2stream.columnar.texts import Texts

Ints = NDArray[np.int64]

MAX_LEAD = MAX_DIGITS = 16  # two words
_SEPARATOR = b"\x1f"  # the highest control character: JSON has none
_BEFORE, _AFTER = b" " * MAX_DIGITS, b" " * 2 * MAX_LEAD
_BLOCK_ROWS = 512

_PAIR = re.compile(rb'"([^"]+)":(?:(")[^"]*"|(0|[1-9][0-9]*)|(?:true|false))')
_QUOTE, _ZERO, _CLOSE = b'"0}'

_FIRST = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)  # masks of a word's first bytes
_TRUE, _FALSE = (np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false"))


class _Field(NamedTuple):
    """A name, the text that leads to its value, the number of its name's first quote, what its value is."""

    name: str
    lead: bytes
    quote: int
    is_text: bool
    is_number: bool

    @property
    def quotes(self) -> int:
        return 4 if self.is_text else 2


class _Lines:
    """The records one after another; `words` has the eight bytes from each place on."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        if not values or None in values:
            raise Misfit("no record, or one without a value")
        joined = _SEPARATOR.join([_BEFORE, *values, _AFTER])  # type: ignore[list-item]
        self.bytes = np.frombuffer(joined, np.uint8)
        self.words = np.ndarray((len(joined) - 7,), "<u8", joined, strides=(1,))
        if not joined.isascii() or b"\\" in joined:
            raise Misfit("not plain ASCII")
        if self.bytes.min() < _SEPARATOR[0] or joined.count(_SEPARATOR) != len(values) + 1:
            raise Misfit("a control character")


def columns(values: Sequence[bytes | None]) -> dict[str, pa.Array]:
    """The fields of the records: strings, int64 and booleans.

    Raises Misfit for any but flat objects of plain ASCII without whitespace, with the same fields in the same
    order, whose numbers are whole, of at most 16 digits and without a sign.
    """
    lines = _Lines(values)
    fields = _fields(values[0] or b"")
    lead = _leads(lines, values, fields)
    made = {}
    numbers = [row for row, field in enumerate(fields) if field.is_number]
    if numbers:
        begin = lead[numbers] + np.array([[len(fields[row].lead)] for row in numbers])
        read = _integers(lines, begin, lead[[row + 1 for row in numbers]])
        made = {fields[row].name: pa.array(column) for row, column in zip(numbers, read, strict=True)}
    for row, field in enumerate(fields):
        begin = lead[row] + len(field.lead)
        if field.is_text:
            made[field.name] = strings(Texts.at(lines.bytes, begin, lead[row + 1] - 1))
        elif not field.is_number:
            made[field.name] = pa.array(_booleans(lines, begin, lead[row + 1]))
    if len(made) < len(fields):
        raise Misfit("a field twice")
    return made


def _fields(record: bytes) -> list[_Field]:
    at, quote, opening = 0, 0, _SEPARATOR + b"{"
    fields: list[_Field] = []
    while record[at : at + 1] == opening[-1:] and (pair := _PAIR.match(record, at + 1)):
        is_text = pair[2] is not None
        lead = opening + record[at + 1 : pair.end(1) + (3 if is_text else 2)]
        if len(lead) > MAX_LEAD:
            raise Misfit(f"a name as long as {pair[1]!r}")
        fields.append(_Field(pair[1].decode(), lead, quote, is_text, pair[3] is not None))
        at, quote, opening = pair.end(), quote + fields[-1].quotes, b","
    if not fields or record[at:] != b"}":
        raise Misfit("not a flat object of strings, whole numbers and booleans")
    return fields


def _leads(lines: _Lines, values: Sequence[bytes | None], fields: list[_Field]) -> Ints:
    """(fields + 1, n) places where leads begin: a value ends where the next begins. All text is checked."""
    count, each = len(values), fields[-1].quote + fields[-1].quotes
    texts = [row for row, field in enumerate(fields) if field.is_text]
    lead, close = np.empty((len(fields) + 1, count), np.int64), np.empty((len(texts), count), np.int64)
    opening, closing = [field.quote for field in fields], [fields[row].quote + 3 for row in texts]
    at = len(_BEFORE) + 1
    for row in range(0, count, _BLOCK_ROWS):
        block = slice(row, row + _BLOCK_ROWS)
        stop = at + len(values[block]) + sum(map(len, values[block]))  # type: ignore[arg-type]
        found = np.flatnonzero(lines.bytes[at:stop] == _QUOTE)
        if len(found) != len(values[block]) * each:
            raise Misfit("not the same number of quotes")
        quotes = found.reshape(-1, each).T
        lead[:-1, block], close[:, block] = quotes[opening] + (at - 1), quotes[closing] + at
        at = stop
    lead[0] -= 1  # it begins with the separator
    lead[-1, :-1], lead[-1, -1] = lead[0, 1:] - 1, at - 2
    if (lines.bytes[lead[-1]] != _CLOSE).any() or (close + 1 != lead[1:][texts]).any():
        raise Misfit("a value ends elsewhere")
    _check(lines, lead[:-1], [field.lead[:8] for field in fields])
    long = [row for row, field in enumerate(fields) if len(field.lead) > 8]
    if long:
        rest = np.array([[len(fields[row].lead) - 8] for row in long])
        _check(lines, lead[long] + rest, [fields[row].lead[-8:] for row in long])
    return lead


def _check(lines: _Lines, places: Ints, texts: list[bytes]) -> None:
    """Misfit unless each row of places has its text, of at most eight bytes."""
    found = lines.words[places]
    found &= _FIRST[[len(text) for text in texts]][:, None]
    if (found != np.array([[int.from_bytes(text, "little")] for text in texts], np.uint64)).any():
        raise Misfit("other fields")


def _booleans(lines: _Lines, begin: Ints, end: Ints) -> NDArray[np.bool_]:
    word, length = lines.words[begin], end - begin
    true: NDArray[np.bool_] = (word & _FIRST[4] == _TRUE) & (length == 4)
    if not (true | (word & _FIRST[5] == _FALSE) & (length == 5)).all():
        raise Misfit("not a boolean")
    return true


def _integers(lines: _Lines, begin: Ints, end: Ints) -> Ints:
    count = end - begin
    if count.min() < 1 or count.max() > MAX_DIGITS:
        raise Misfit("a number of no or of more than 16 digits")
    if ((lines.bytes[begin] == _ZERO) & (count > 1)).any():
        raise Misfit("a number with a leading zero")
    numbers = eight_digits(lines.words[end - 8], np.minimum(count, 8))
    if count.max() > 8:
        numbers += eight_digits(lines.words[end - 16], np.maximum(count - 8, 0)) * 10**8
    return numbers
