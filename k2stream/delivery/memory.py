"""Memory settings of pyarrow and malloc for workers with little memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa

# malloc.h: without them, each thread has its own heap, and columns come from heaps that never shrink.
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
    """Keep pyarrow from importing pandas, and make freed memory return to the system.

    Call it before the first array. At that point pyarrow imports pandas (50 MB) if it is installed, as it is
    with the embedded ClickHouse engine, and remembers the result.
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
