"""Locates the values in JSON objects of the same shape, without a Python object per record.

The first record determines the fields and the literal text; all others are checked to have the same. Other
batches raise NotColumnar, and are read record by record. Most arrays are kept below malloc's mmap threshold:
the kernel must zero a newly mapped array, which takes longer than the work on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.model.errors import BadData

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

WORD = 8
"""Number of characters that are processed as one integer."""

MAX_LEAD = MAX_DIGITS = 2 * WORD

FIRST = np.array([(1 << 8 * count) - 1 for count in range(WORD + 1)], np.uint64)
"""Masks that keep the first n bytes of a word, by n."""

_SEPARATOR = b"\x1f"  # the highest control character; JSON contains none
_BEFORE, _AFTER = b" " * MAX_DIGITS, b" " * 2 * MAX_LEAD  # padding: words around values are in the buffer
_BLOCK_ROWS = 512
_PAIR = re.compile(rb'"([^"]+)":(?:(")[^"]*"|(0|[1-9][0-9]*)|(?:true|false))')
_QUOTE, _CLOSE = b'"}'


class NotColumnar(BadData, ValueError):
    """The records differ in shape, or have a shape that cannot be read by column."""


class Field(NamedTuple):
    """A field: name, literal text before the value, index of the name's first quote, type of the value."""

    name: str
    lead: bytes
    quote: int
    is_text: bool
    is_number: bool

    @property
    def quotes(self) -> int:
        """Return the number of quotes that the field has in a record."""
        return 4 if self.is_text else 2


class RecordLayout:
    """The concatenated records, and the position of each value in them.

    `bytes` are all characters, `words` the eight characters from each position on. Raises NotColumnar unless
    all records are flat objects of plain ASCII without whitespace, with the same fields in the same order,
    and with unsigned whole numbers only.
    """

    def __init__(self, values: Sequence[bytes | None]) -> None:
        if not values or None in values:
            raise NotColumnar("no record, or one without a value")
        self.text = _SEPARATOR.join([_BEFORE, *values, _AFTER])  # type: ignore[list-item]
        self.bytes = np.frombuffer(self.text, np.uint8)
        self.words: Words = np.ndarray((len(self.text) - WORD + 1,), "<u8", self.text, strides=(1,))
        if not self.text.isascii() or b"\\" in self.text:
            raise NotColumnar("not plain ASCII")
        if self.bytes.min() < _SEPARATOR[0] or self.text.count(_SEPARATOR) != len(values) + 1:
            raise NotColumnar("a control character")
        self.fields = _fields(values[0] or b"")
        self._leads = self._located(values)

    def span(self, row: int) -> tuple[Ints, Ints]:
        """Return where the values of a field, by its index, begin and end in each record."""
        field = self.fields[row]
        return self._leads[row] + len(field.lead), self._leads[row + 1] - field.is_text

    def spans(self, rows: Sequence[int]) -> tuple[Ints, Ints]:
        """Return where values begin and end, (rows, n) each, for several fields that are not text."""
        lengths = np.array([[len(self.fields[row].lead)] for row in rows])
        return self._leads[rows] + lengths, self._leads[[row + 1 for row in rows]]

    def _located(self, values: Sequence[bytes | None]) -> Ints:
        """Return the (fields + 1, n) positions where leads begin, which end the preceding value.

        Checks all literal text.
        """
        fields = self.fields
        count, each = len(values), fields[-1].quote + fields[-1].quotes
        texts = [row for row, field in enumerate(fields) if field.is_text]
        opening, closing = [field.quote for field in fields], [fields[row].quote + 3 for row in texts]
        lead, close = np.empty((len(fields) + 1, count), np.int64), np.empty((len(texts), count), np.int64)
        at = len(_BEFORE) + 1
        for row in range(0, count, _BLOCK_ROWS):
            block = slice(row, row + _BLOCK_ROWS)
            stop = at + len(values[block]) + sum(map(len, values[block]))  # type: ignore[arg-type]
            found = np.flatnonzero(self.bytes[at:stop] == _QUOTE)
            if len(found) != len(values[block]) * each:
                raise NotColumnar("not the same number of quotes")
            quotes = found.reshape(-1, each).T
            lead[:-1, block], close[:, block] = quotes[opening] + (at - 1), quotes[closing] + at
            at = stop
        lead[0] -= 1  # the first lead includes the separator
        lead[-1, :-1], lead[-1, -1] = lead[0, 1:] - 1, at - 2
        if (self.bytes[lead[-1]] != _CLOSE).any() or (close + 1 != lead[1:][texts]).any():
            raise NotColumnar("a value ends elsewhere")
        self._expect(lead[:-1], [field.lead[:WORD] for field in fields])
        long = [row for row, field in enumerate(fields) if len(field.lead) > WORD]
        if long:
            rest = np.array([[len(fields[row].lead) - WORD] for row in long])
            self._expect(lead[long] + rest, [fields[row].lead[-WORD:] for row in long])
        return lead

    def _expect(self, places: Ints, texts: list[bytes]) -> None:
        """Raise NotColumnar unless each row of positions has its text, of at most eight bytes."""
        found = self.words[places]
        found &= FIRST[[len(text) for text in texts]][:, None]
        if (found != np.array([[int.from_bytes(text, "little")] for text in texts], np.uint64)).any():
            raise NotColumnar("other fields")


def _fields(record: bytes) -> list[Field]:
    at, quote, opening = 0, 0, _SEPARATOR + b"{"
    fields: dict[str, Field] = {}
    while record[at : at + 1] == opening[-1:] and (pair := _PAIR.match(record, at + 1)):
        is_text = pair[2] is not None
        lead = opening + record[at + 1 : pair.end(1) + (3 if is_text else 2)]
        if len(lead) > MAX_LEAD:
            raise NotColumnar(f"a name as long as {pair[1]!r}")
        field = Field(pair[1].decode(), lead, quote, is_text, pair[3] is not None)
        if field.name in fields:
            raise NotColumnar("a field twice")
        fields[field.name] = field
        at, quote, opening = pair.end(), quote + field.quotes, b","
    if not fields or record[at:] != b"}":
        raise NotColumnar("not a flat object of strings, whole numbers and booleans")
    return list(fields.values())
