"""String columns without a Python object per string: concatenated UTF-8 bytes and offsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """String i is data[offsets[i]:offsets[i + 1]], in UTF-8."""

    offsets: Ints
    data: bytes

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> Texts:
        """Create a column from Python strings."""
        encoded = [string.encode() for string in strings]
        return cls(starts(np.fromiter(map(len, encoded), np.int64, len(encoded))), b"".join(encoded))

    @classmethod
    def at(cls, source: NDArray[np.uint8], begin: Ints, end: Ints) -> Texts:
        """Copy the strings at spans of `source`. Raises UnicodeDecodeError."""
        lengths = end - begin
        offsets = starts(lengths)
        width = int(lengths[0]) if len(lengths) else 0
        if width and (lengths == width).all():
            cells: Any = np.ndarray((len(source) - width + 1,), f"V{width}", source, strides=(1,))
            data = cells[begin].tobytes()
        else:
            index = np.arange(offsets[-1])
            index += np.repeat(begin - offsets[:-1], lengths)
            data = source.take(index).tobytes()
        found = cls(offsets, data)
        if not found.data.isascii():
            found.tolist()
        return found

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def tolist(self) -> list[str]:
        """Return Python strings. Raises UnicodeDecodeError."""
        return [self.data[begin:end].decode() for begin, end in pairwise(self.offsets.tolist())]


@dataclass(frozen=True, slots=True)
class TextLists:
    """List i is texts[offsets[i]:offsets[i + 1]]."""

    offsets: Ints
    texts: Texts

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[str]]) -> TextLists:
        """Create a column from lists of Python strings."""
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        return cls(starts(lengths), Texts.from_strings(string for strings in lists for string in strings))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def tolist(self) -> list[list[str]]:
        """Return lists of Python strings."""
        strings = self.texts.tolist()
        return [strings[begin:end] for begin, end in pairwise(self.offsets.tolist())]


def starts(lengths: Ints) -> Ints:
    """Return the start offset of each item of the given lengths, and finally the end."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
