"""A mutant as new code of functions that are loaded already: nothing is imported anew for it."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple


class Changed(NamedTuple):
    """A function, as its code object names it, and its new code."""

    name: str
    first_line: int
    code: CodeType


class AtImport(Exception):
    """The change is of what an import runs."""


def changed(path: Path, before: bytes, after: bytes) -> list[Changed]:
    """The functions that a mutant changes. Raises AtImport where it changes more than functions."""
    old, new = (compile(source, str(path), "exec", dont_inherit=True) for source in (before, after))
    return list(_differing(old, new))


def _differing(old: CodeType, new: CodeType) -> Iterator[Changed]:
    if old.co_flags & inspect.CO_OPTIMIZED:
        if old != new:
            yield Changed(old.co_qualname, old.co_firstlineno, new)
    elif old.co_code != new.co_code or old.co_names != new.co_names or _plain(old) != _plain(new):
        raise AtImport(old.co_qualname)
    inner_old, inner_new = _inner(old), _inner(new)
    if len(inner_old) != len(inner_new):
        return  # of a function: its own code has them all
    for one, other in zip(inner_old, inner_new, strict=True):
        yield from _differing(one, other)


def _inner(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def _plain(code: CodeType) -> list[str]:
    return [repr(const) for const in code.co_consts if not isinstance(const, CodeType)]


class Loaded:
    """The functions of the mutated files in this process."""

    def __init__(self, files: set[Path]) -> None:
        self._found: dict[tuple[str, str, int], list[FunctionType]] = {}
        wanted, known = {str(path.resolve()) for path in files}, dict[str, str]()
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                name = each.__code__.co_filename
                path = known.setdefault(name, os.path.realpath(name))
                if path in wanted:
                    key = path, each.__code__.co_qualname, each.__code__.co_firstlineno
                    self._found.setdefault(key, []).append(each)

    def apply(self, path: Path, changes: list[Changed]) -> None:
        """Give them their new code. Raises ValueError where it uses other variables around it."""
        for change in changes:
            for function in self._found.get((str(path.resolve()), change.name, change.first_line), ()):
                function.__code__ = change.code
