"""Tables in Markdown, and the texts that stand behind the fields of classes."""

import ast
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

from tests.unit.docs.pages import ROOT


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with a head."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(
        f"| {' | '.join(cell or ' ' for cell in line)} |".replace("|   |", "| |") for line in lines
    )


def code(text: object) -> str:
    """A text as code."""
    return f"`{text}`"


@cache
def _classes() -> dict[str, ast.ClassDef]:
    """The classes of the code, whose names are unique (tests/unit/test_architecture.py)."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "k2stream").rglob("*.py"))
    return {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def docstring(name: str) -> str:
    """A class's docstring, in one line."""
    return " ".join((ast.get_docstring(_classes()[name]) or "").split()) if name in _classes() else ""


def field_texts(name: str) -> dict[str, str]:
    """The strings that follow the fields of a class, by field."""
    body = _classes()[name].body if name in _classes() else []
    found = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = " ".join(text.value.value.split())
    return found
