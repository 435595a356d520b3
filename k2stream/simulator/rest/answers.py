"""What a REST request is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class RestAnswer(NamedTuple):
    """A body of JSON and its HTTP status."""

    text: str
    status: int = 200


def array(rows: Iterable[str]) -> RestAnswer:
    """Rows of JSON."""
    return RestAnswer(f"[{','.join(rows)}]")
