"""Type variables of a table's keys and values, which default to Any."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    K = DefaultTypeVar("K", default=Any)
    V = DefaultTypeVar("V", default=Any)
else:
    K, V = TypeVar("K"), TypeVar("V")

D = TypeVar("D")
"""The type of a default value."""
