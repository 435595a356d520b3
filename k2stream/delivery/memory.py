"""pyarrow and malloc in a worker of little memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa

# malloc.h: else each thread has a heap of its own, and columns come from heaps, which keep their size.
_M_ARENA_MAX, _ARENAS = -8, 2
_M_MMAP_THRESHOLD, _MAPPED_BYTES = -3, 256 << 10


class _WithoutPandas(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is hidden from pyarrow")
        return None


def keep_lean() -> None:
    """Make pyarrow do without pandas, and have freed memory given back.

    Call it before the first array: that is when pyarrow imports pandas, 50 MB, wherever it is installed (the
    embedded ClickHouse engine brings it), and remembers whether it could.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(AttributeError, OSError):  # not glibc
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_ARENA_MAX, _ARENAS)
        malloc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([None])
    finally:
        sys.meta_path.remove(finder)
