"""An exchange as the oracle sees it, and what its modules need to say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 2**63 - 1
TIME_END = 10**16
"""µs: the year 2286."""

Found = tuple[bool, bool, object, object]
"""Whether a record can be a trade, whether bronze can have it, its price and its quantity."""


@dataclass(frozen=True, slots=True)
class Venue:
    """Rules of one exchange, as SQL of a ClickHouse engine where they are of columns."""

    judge: Callable[[Mapping[str, Any]], Found]
    """Of a raw record's fields."""

    columns: Mapping[str, str]
    """Bronze's own columns, and their types."""

    canonical: str
    """Columns of a trade; `id` tells trades apart, `likeness` is what those without ids are told apart by."""

    spelling: str
    """The canonical form of a symbol that no file names."""

    literals: frozenset[str] = frozenset()
    """Columns that are strings or JSON numbers, kept as they were written."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns of other names in Iceberg."""


def whole(value: object, low: int = 0, high: int = LARGEST) -> bool:
    """Whether it is an integer in these bounds."""
    return type(value) is int and low <= value <= high


def maybe(fields: Mapping[str, Any], *names: str) -> bool:
    """Whether each is absent or an integer of 64 bits."""
    return all(fields.get(name) is None or whole(fields[name], -(2**63)) for name in names)


def texts(fields: Mapping[str, Any], *names: str) -> bool:
    """Whether all are strings."""
    return all(type(fields.get(name)) is str for name in names)


def is_symbol(value: object) -> bool:
    """Whether it can be a native symbol."""
    return type(value) is str and 1 <= len(value) <= 64
