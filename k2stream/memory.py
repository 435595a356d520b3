"""Memory settings of malloc and of libraries, for workers with little memory. Import it before these."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# malloc.h: without them, each thread has its own heap, and columns come from heaps that never shrink.
_M_ARENA_MAX, _ARENAS = -8, 2
_M_MMAP_THRESHOLD, _MAPPED_BYTES = -3, 256 << 10


class _Hidden(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is hidden, for what can do without it")
        return None


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let what is imported meanwhile go without packages that it need not have."""
    finder = _Hidden(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with _hidden("rich", "pygments"):  # 4 MB, for what is not used
    for _name in ("httpx", "structlog"):
        import_module(_name)


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
    with _hidden("pandas"):
        pa.array([None])


def trim() -> None:
    """Return freed memory to the system: commits to Iceberg leave tens of MB in the heaps."""
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _mallopt(option: int, value: int) -> None:
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).mallopt(option, value)
