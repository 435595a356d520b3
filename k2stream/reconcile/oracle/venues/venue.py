"""The form of an exchange's rules in the oracle, and helpers to define them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 2**63 - 1
TIME_END = 10**16
"""The year 2286, in µs."""

Found = tuple[bool, bool, object, object]
"""Whether a record can be a trade, whether bronze can store it, its price, and its quantity."""


@dataclass(frozen=True, slots=True)
class Venue:
    """The rules of one exchange; rules for columns are SQL of the ClickHouse engine."""

    judge: Callable[[Mapping[str, Any]], Found]
    """Judges the fields of a raw record."""

    columns: Mapping[str, str]
    """Bronze's columns of the exchange, and their types."""

    canonical: str
    """SQL of a trade's columns; `id` identifies trades, `likeness` distinguishes those without ids."""

    spelling: str
    """SQL of the canonical symbol for a native symbol that the instruments file does not list."""

    literals: frozenset[str] = frozenset()
    """Columns that are strings or JSON numbers, stored as they were written."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Columns with other names in Iceberg."""


def whole(value: object, low: int = 0, high: int = LARGEST) -> bool:
    """Whether a value is an integer within the bounds."""
    return type(value) is int and low <= value <= high


def maybe(fields: Mapping[str, Any], *names: str) -> bool:
    """Whether each field is absent or a 64-bit integer."""
    return all(fields.get(name) is None or whole(fields[name], -(2**63)) for name in names)


def texts(fields: Mapping[str, Any], *names: str) -> bool:
    """Whether all fields are strings."""
    return all(type(fields.get(name)) is str for name in names)


def is_symbol(value: object) -> bool:
    """Whether a value can be a native symbol."""
    return type(value) is str and 1 <= len(value) <= 64
