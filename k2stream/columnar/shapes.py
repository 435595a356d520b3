"""Rows of bytes out of columns of different widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(n, widest) bytes, and how many bytes of each row count."""


def constant(cells: NDArray[np.uint8]) -> Part:
    """A part all of whose rows are as wide as it is."""
    return cells, np.full(len(cells), cells.shape[1])


def joined(parts: Sequence[Part | bytes], count: int) -> list[bytes]:
    """The parts of each of `count` rows one after the other; bytes are the same in every row.

    Rows of one shape are cut out together; there are few shapes.
    """
    shape = np.zeros(count, np.int64)
    for part in parts:
        if isinstance(part, tuple):
            cells, widths = part
            shape = shape * (cells.shape[1] + 1) + widths
    _, first, code = np.unique(shape, return_index=True, return_inverse=True)
    out = np.empty(count, object)
    for number, row in enumerate(first.tolist()):
        rows: Any = np.flatnonzero(code == number) if len(first) > 1 else slice(None)
        columns = [_cells(part, rows, row, count) for part in parts]
        same = np.concatenate(columns, axis=1)
        out[rows] = same.view(f"V{same.shape[1]}").ravel().astype(object)
    made: list[bytes] = out.tolist()
    return made


def _cells(part: Part | bytes, rows: Any, first: int, count: int) -> NDArray[np.uint8]:
    if isinstance(part, tuple):
        cells, widths = part
        return cells[rows, : widths[first]]
    many = count if isinstance(rows, slice) else len(rows)
    return np.broadcast_to(np.frombuffer(part, np.uint8), (many, len(part)))
