"""Batches of JSON objects that are all of one shape, read by column without an object per record.

The first record says where fields and literal text are; every other one is checked to have them in the same
places. Whatever is not like that raises Misfit, and is read record by record instead. Eight characters are
handled as one word: after D. Lemire, "Quickly parsing eight digits" (2018).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.model.errors import BadData
from k2stream.model.trade import Decimals

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

MAX_TEXT = 16
"""The most characters of a number, a name or a symbol here: two words."""

MAX_FRACTION = 16
MAX_DIGITS = 18  # any so many digits fit int64

_PAD = b" " * MAX_TEXT  # so that the words before and after any text are inside the buffer
_PAIR = re.compile(rb'"([^"]+)":(?:(")[^"]*"|(0|[1-9][0-9]*)|(?:true|false))')
_QUOTE, _DOT, _ZERO, _CLOSE = b'".0}'
_TRUE, _FALSE = (int.from_bytes(word, "little") for word in (b"true\0\0\0\0", b"fals\0\0\0\0"))

_ONES = 2**64 - 1
_FIRST = np.array(
    [(1 << 8 * count) - 1 for count in range(9)], np.uint64
)  # the first `count` bytes of a word
_LAST = np.array([_ONES ^ ((1 << 8 * (8 - count)) - 1) for count in range(9)], np.uint64)
_ZEROS = np.uint64(0x3030303030303030)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Misfit(BadData, ValueError):
    """The batch is not of one shape, or of one that is not read here."""


class _Slot(NamedTuple):
    """A field: the text that leads to its value, the number of its key's opening quote, what its value is."""

    name: str
    lead: bytes
    quote: int
    is_text: bool
    is_number: bool


class Text(NamedTuple):
    """A column of text: where each row starts and ends in the buffer."""

    start: Ints
    end: Ints


class Scan:
    """The columns of a batch; `values` are the records. Raises Misfit."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        if None in values:
            raise Misfit("a record without a value")
        self._lines = b"\n".join([_PAD, *values, _PAD])  # type: ignore[list-item]
        if not self._lines.isascii() or b"\\" in self._lines:
            raise Misfit("not plain ASCII")
        self._bytes = np.frombuffer(self._lines, np.uint8)
        self._words: Words = np.ndarray((len(self._lines) - 7,), "<u8", self._lines, strides=(1,))
        breaks = np.flatnonzero(self._bytes < ord(" "))
        if len(breaks) != len(values) + 1:
            raise Misfit("a control character")
        self._texts: dict[str, Text] = {}
        self._booleans: dict[str, Text] = {}
        self._integers: dict[str, Ints] = {}
        self._digits: dict[str, Text] = {}
        self._find(breaks[:-1] + 1, breaks[1:], list(_slots(values[0] or b"")))

    def _find(self, starts: Ints, ends: Ints, slots: list[_Slot]) -> None:
        """Where every value is, with the text between them checked."""
        count = len(starts)
        last = slots[-1].quote + (4 if slots[-1].is_text else 2)
        quotes = np.flatnonzero(self._bytes == _QUOTE)
        if len(quotes) != count * last:
            raise Misfit("not the same number of quotes")
        quotes = np.ascontiguousarray(quotes.reshape(count, last).T)
        leads = [quotes[slot.quote] - 1 for slot in slots] + [ends - 1]
        if (leads[0] != starts).any() or (self._bytes[leads[-1]] != _CLOSE).any():
            raise Misfit("not an object a record")
        for slot, at, following in zip(slots, leads, leads[1:], strict=False):
            self._expect(at, slot.lead)
            value = Text(at + len(slot.lead), following - slot.is_text)
            if slot.is_text:
                if (quotes[slot.quote + 3] != value.end).any():
                    raise Misfit(f"{slot.name} ends elsewhere")
                self._texts[slot.name] = value
            elif slot.is_number:
                self._digits[slot.name] = value
            else:
                self._booleans[slot.name] = value
        if len(self._texts) + len(self._digits) + len(self._booleans) < len(slots):
            raise Misfit("a field twice")
        if self._digits:
            self._read_integers()
        for name in self._booleans:
            self.boolean(name)

    def _expect(self, at: Ints, text: bytes) -> None:
        """Misfit unless `text` stands at all these places."""
        for offset in {0, max(len(text) - 8, 0)}:
            part = text[offset : offset + 8]
            found = self._words[at + offset] & _FIRST[len(part)]
            if (found != np.uint64(int.from_bytes(part, "little"))).any():
                raise Misfit(f"no {text!r}")

    def _read_integers(self) -> None:
        """All of them at once: they are checked even if nobody asks for them."""
        start, end = (np.stack(columns) for columns in zip(*self._digits.values(), strict=True))
        if ((self._bytes[start] == _ZERO) & (end - start > 1)).any():
            raise Misfit("a number with a leading zero")
        self._integers = dict(zip(self._digits, self._numbers(start, end), strict=True))

    def __contains__(self, name: str) -> bool:
        return name in self._texts or name in self._digits or name in self._booleans

    # Columns

    def text(self, name: str) -> Text:
        """Where the field's characters are: of a string, or of a whole number."""
        column = self._texts.get(name) or self._digits.get(name)
        if column is None:
            raise Misfit(f"no field {name}")
        return column

    def row(self, name: str, row: int) -> str:
        """The field's text in one record."""
        start, end = self.text(name)
        return self._lines[int(start[row]) : int(end[row])].decode()

    def cut(self, name: str) -> tuple[NDArray[np.uint8], Ints]:
        """(n, widest) characters of the field, and how many of each row are its own."""
        start, end = self.text(name)
        widths = end - start
        widest = int(widths.max())
        if widest > MAX_TEXT:
            raise Misfit(f"{name} is longer than {MAX_TEXT}")
        if not widest:
            return np.empty((len(start), 0), np.uint8), widths
        places = len(self._lines) - widest + 1
        cells: Any = np.ndarray((places,), f"V{widest}", self._lines, strides=(1,))
        return cells[start].view(np.uint8).reshape(len(start), widest), widths

    def integers(self, name: str) -> Ints:
        """A field of whole numbers without a sign, at most 16 digits."""
        if name not in self._integers:
            raise Misfit(f"no number {name}")
        return self._integers[name]

    def boolean(self, name: str) -> NDArray[np.bool_]:
        """A field of true and false."""
        if name not in self._booleans:
            raise Misfit(f"no boolean {name}")
        start, end = self._booleans[name]
        word = self._words[start] & _FIRST[4]
        true: NDArray[np.bool_] = word == np.uint64(_TRUE)
        false = (word == np.uint64(_FALSE)) & (self._bytes[end - 1] == ord("e"))
        if not (np.where(true, 4, 5) == end - start).all() or not (true | false).all():
            raise Misfit(f"{name} is not a boolean")
        return true

    def decimals(self, name: str) -> Decimals:
        """A string field of plain decimals with a point, e.g. "0.00100000", exactly."""
        start, end = self.text(name)
        fraction = np.zeros(len(start), np.int64)
        rows = np.arange(len(start))
        for digits in range(MAX_FRACTION + 1):
            at = end[rows] - digits - 1
            here = (self._bytes[at] == _DOT) & (at >= start[rows])
            fraction[rows[here]] = digits
            rows = rows[~here]
            if not len(rows):
                break
        else:
            raise Misfit(f"{name} without a point")
        point, scale = end - fraction - 1, int(fraction.max())
        if int((point - start).max()) + scale > MAX_DIGITS:
            raise Misfit(f"{name} has more than {MAX_DIGITS} digits")
        whole, part = self._numbers(np.stack((start, point + 1)), np.stack((point, end)))
        powers = 10 ** np.arange(scale + 1)
        return Decimals(whole * powers[scale] + part * powers[scale - fraction], scale)

    def codes(self, name: str) -> tuple[list[str], Ints]:
        """The different texts of a field of at most 16 characters, and the number of each row's."""
        start, end = self.text(name)
        length = end - start
        if length.min() < 1 or length.max() > MAX_TEXT:
            raise Misfit(f"{name} of a length beyond 1 to {MAX_TEXT}")
        low = self._words[start] & _FIRST[np.minimum(length, 8)]
        high = self._words[start + 8] & _FIRST[np.maximum(length - 8, 0)]
        _, first, code = np.unique(low ^ (high * _MIX), return_index=True, return_inverse=True)
        if (low != low[first][code]).any() or (high != high[first][code]).any():
            raise Misfit(f"two {name} that look alike")
        return [self.row(name, row) for row in first.tolist()], code

    def _numbers(self, start: Ints, end: Ints) -> Ints:
        """The numbers of 1 to 16 digits between `start` and `end`."""
        count = end - start
        if count.min() < 1 or count.max() > MAX_TEXT:
            raise Misfit("a number of no or of more than 16 digits")
        numbers = eight_digits(self._words[end - 8], np.minimum(count, 8))
        if count.max() > 8:
            numbers += eight_digits(self._words[end - 16], np.maximum(count - 8, 0)) * 10**8
        return numbers


def _slots(record: bytes) -> Iterator[_Slot]:
    """The fields of a flat object without whitespace."""
    at, quote, opening = 0, 0, b"{"
    while record[at : at + 1] == opening and (pair := _PAIR.match(record, at + 1)):
        is_text = pair[2] is not None
        value = pair.end(1) + (3 if is_text else 2)
        lead = record[at:value]
        if len(lead) > MAX_TEXT:
            raise Misfit(f"a name as long as {pair[1]!r}")
        yield _Slot(pair[1].decode(), lead, quote, is_text, pair[3] is not None)
        at, quote, opening = pair.end(), quote + (4 if is_text else 2), b","
    if not at or record[at:] != b"}":
        raise Misfit("not a flat object of strings, whole numbers and booleans")


def eight_digits(words: Words, count: Ints) -> Ints:
    """The number in the last `count` of each word's eight characters."""
    keep = _LAST[count]
    digits = (words ^ _ZEROS) & keep
    if ((digits | (digits + np.uint64(0x7676767676767676))) & np.uint64(0x8080808080808080)).any():
        raise Misfit("not a digit")
    digits = (digits * np.uint64(2561)) >> np.uint64(8)
    digits = ((digits & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    digits = ((digits & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return digits.view(np.int64)
