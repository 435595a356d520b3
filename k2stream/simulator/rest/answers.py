"""Answers to REST requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class RestAnswer(NamedTuple):
    """A JSON body and its HTTP status."""

    text: str
    status: int = 200


def array(rows: Iterable[str]) -> RestAnswer:
    """A JSON array of encoded rows."""
    return RestAnswer(f"[{','.join(rows)}]")
