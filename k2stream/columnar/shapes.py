"""Joins columns of different widths to rows of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(n, widest) bytes, and the number of valid bytes in each row."""


def constant(cells: NDArray[np.uint8]) -> Part:
    """Return a part whose rows all have the full width."""
    return cells, np.full(len(cells), cells.shape[1])


def joined(parts: Sequence[Part | bytes], count: int) -> list[bytes]:
    """Concatenate the parts of each of `count` rows; a part that is bytes is the same in every row.

    Rows with the same widths are processed together, because there are few combinations of widths.
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
