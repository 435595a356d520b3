"""Reads columns from JSON objects of the same shape: texts, whole numbers, booleans and decimals.

Eight characters are processed as one word, after D. Lemire, "Quickly parsing eight digits" (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2stream.columnar.layout import FIRST, MAX_DIGITS, WORD, Field, Ints, NotColumnar, RecordLayout, Words
from k2stream.columnar.texts import Texts
from k2stream.model.trade import Decimals

MAX_TEXT = 2 * WORD
"""The most characters of a number, a name or a symbol that this module reads."""

MAX_FRACTION = 16
MAX_DECIMAL_DIGITS = 18
"""Any number of at most this many digits fits in int64."""

_DOT, _ZERO = b".0"
_TRUE, _FALSE = (np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false"))

_ONES = 2**64 - 1
_LAST = np.array([_ONES ^ ((1 << 8 * (WORD - count)) - 1) for count in range(WORD + 1)], np.uint64)
_ZEROS = np.uint64(0x3030303030303030)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Text(NamedTuple):
    """A text column: where each row starts and ends in the buffer."""

    start: Ints
    end: Ints


class Scan:
    """The columns of a batch; `values` are the records. Raises NotColumnar as RecordLayout does.

    Numbers (at most 16 digits) and booleans are checked even if they are not used.
    """

    def __init__(self, values: Sequence[bytes | None]) -> None:
        self._layout = RecordLayout(values)
        self._lines, self._bytes, self._words = (self._layout.text, self._layout.bytes, self._layout.words)
        fields = self._layout.fields
        self._rows = {field.name: row for row, field in enumerate(fields)}
        self._integers = self._read_integers([row for row, field in enumerate(fields) if field.is_number])
        self._booleans = {
            field.name: self._read_booleans(*self._layout.span(row))
            for row, field in enumerate(fields)
            if not (field.is_text or field.is_number)
        }

    def _read_integers(self, rows: list[int]) -> dict[str, Ints]:
        if not rows:
            return {}
        start, end = self._layout.spans(rows)
        if ((self._bytes[start] == _ZERO) & (end - start > 1)).any():
            raise NotColumnar("a number with a leading zero")
        names = [self._layout.fields[row].name for row in rows]
        return dict(zip(names, self._numbers(start, end), strict=True))

    def _read_booleans(self, start: Ints, end: Ints) -> NDArray[np.bool_]:
        word, length = self._words[start], end - start
        true: NDArray[np.bool_] = (word & FIRST[4] == _TRUE) & (length == 4)
        if not (true | (word & FIRST[5] == _FALSE) & (length == 5)).all():
            raise NotColumnar("not a boolean")
        return true

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    @property
    def fields(self) -> list[Field]:
        """Return the fields in order."""
        return self._layout.fields

    def text(self, name: str) -> Text:
        """Return where the characters of a string or whole-number field are."""
        row = self._rows.get(name)
        if row is None or name in self._booleans:
            raise NotColumnar(f"no text {name}")
        return Text(*self._layout.span(row))

    def texts(self, name: str) -> Texts:
        """Return the characters of a field, of any length."""
        return Texts.at(self._bytes, *self.text(name))

    def row(self, name: str, row: int) -> str:
        """Return the text of a field in one record."""
        start, end = self.text(name)
        return self._lines[int(start[row]) : int(end[row])].decode()

    def cut(self, name: str) -> tuple[NDArray[np.uint8], Ints]:
        """Return (n, widest) characters of a field, and the number of valid characters in each row.

        Raises NotColumnar for more than MAX_TEXT characters.
        """
        start, end = self.text(name)
        widths = end - start
        widest = int(widths.max())
        if widest > MAX_TEXT:
            raise NotColumnar(f"{name} is longer than {MAX_TEXT}")
        if not widest:
            return np.empty((len(start), 0), np.uint8), widths
        places = len(self._lines) - widest + 1
        cells: Any = np.ndarray((places,), f"V{widest}", self._lines, strides=(1,))
        return cells[start].view(np.uint8).reshape(len(start), widest), widths

    def integers(self, name: str) -> Ints:
        """Return a field of unsigned whole numbers of at most 16 digits."""
        if name not in self._integers:
            raise NotColumnar(f"no number {name}")
        return self._integers[name]

    def boolean(self, name: str) -> NDArray[np.bool_]:
        """Return a boolean field."""
        if name not in self._booleans:
            raise NotColumnar(f"no boolean {name}")
        return self._booleans[name]

    def decimals(self, name: str) -> Decimals:
        """Return a string field of plain decimals with a point, e.g. "0.00100000", as exact decimals."""
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
            raise NotColumnar(f"{name} without a point")
        point, scale = end - fraction - 1, int(fraction.max())
        if int((point - start).max()) + scale > MAX_DECIMAL_DIGITS:
            raise NotColumnar(f"{name} has more than {MAX_DECIMAL_DIGITS} digits")
        whole, part = self._numbers(np.stack((start, point + 1)), np.stack((point, end)))
        powers = 10 ** np.arange(scale + 1)
        return Decimals(whole * powers[scale] + part * powers[scale - fraction], scale)

    def codes(self, name: str) -> tuple[list[str], Ints]:
        """Return the distinct texts of a field of at most 16 characters, and each row's index in them."""
        start, end = self.text(name)
        length = end - start
        if length.min() < 1 or length.max() > MAX_TEXT:
            raise NotColumnar(f"{name} of a length beyond 1 to {MAX_TEXT}")
        low = self._words[start] & FIRST[np.minimum(length, 8)]
        high = self._words[start + 8] & FIRST[np.maximum(length - 8, 0)]
        _, first, code = np.unique(low ^ (high * _MIX), return_index=True, return_inverse=True)
        if (low != low[first][code]).any() or (high != high[first][code]).any():
            raise NotColumnar(f"two {name} that look alike")
        return [self.row(name, row) for row in first.tolist()], code

    def _numbers(self, start: Ints, end: Ints) -> Ints:
        """Parse the numbers of 1 to 16 digits between `start` and `end`."""
        count = end - start
        if count.min() < 1 or count.max() > MAX_DIGITS:
            raise NotColumnar("a number of no or of more than 16 digits")
        numbers = eight_digits(self._words[end - 8], np.minimum(count, 8))
        if count.max() > 8:
            numbers += eight_digits(self._words[end - 16], np.maximum(count - 8, 0)) * 10**8
        return numbers


def eight_digits(words: Words, count: Ints) -> Ints:
    """Parse the number in the last `count` of each word's eight characters."""
    keep = _LAST[count]
    digits = (words ^ _ZEROS) & keep
    if ((digits | (digits + np.uint64(0x7676767676767676))) & np.uint64(0x8080808080808080)).any():
        raise NotColumnar("not a digit")
    digits = (digits * np.uint64(2561)) >> np.uint64(8)
    digits = ((digits & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    digits = ((digits & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return digits.view(np.int64)
