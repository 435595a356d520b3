"""The types of a table's keys and values: Any where they are not given."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    K = DefaultTypeVar("K", default=Any)
    V = DefaultTypeVar("V", default=Any)
else:
    K, V = TypeVar("K"), TypeVar("V")

D = TypeVar("D")
"""What stands for a value that is not there."""
