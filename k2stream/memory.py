"""Memory settings of malloc and pyarrow for workers with little memory."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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


def choose_arrow_pool() -> None:
    """Make pyarrow's own default the system's malloc; call it before pyarrow is imported.

    Parquet writers take this pool whatever `set_memory_pool` says, and mimalloc keeps what they free (90 MB).
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def share_heaps() -> None:
    """Let all threads of the process allocate from two heaps."""
    _mallopt(_M_ARENA_MAX, _ARENAS)


def keep_arrow_lean() -> None:
    """Keep pyarrow from importing pandas, and make freed columns return to the system.

    Call it before the first array. At that point pyarrow imports pandas (50 MB) if it is installed, as it is
    with the embedded ClickHouse engine, and remembers the result.
    """
    import pyarrow as pa

    share_heaps()
    _mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
    pa.set_memory_pool(pa.system_memory_pool())
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([None])
    finally:
        sys.meta_path.remove(finder)


def trim() -> None:
    """Return freed memory to the system: commits to Iceberg leave tens of MB in the heaps."""
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _mallopt(option: int, value: int) -> None:
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).mallopt(option, value)
