"""docs/operations/mend.md quotes the errors of the code as they are, and has a row for each."""

import ast
import re
from functools import cache

from tests.unit.docs.pages import OPERATIONS, ROOT, SPAN

ERRORS = (
    *("ConfigError", "StateRefused", "StackError", "Broken", "Expired", "Refused", "SourceGone"),
    *("MissingRows", "ClickException", "UsageError", "_mistake"),
)
"""What a person sees as one line."""


@cache
def trees():
    files = (file for folder in ("k2stream", "agents", "tables") for file in (ROOT / folder).rglob("*.py"))
    return [ast.parse(file.read_text()) for file in files]


@cache
def said():
    """Every text in the code but docstrings, f-strings in the pieces between their values."""
    nodes = [node for tree in trees() for node in ast.walk(tree)]
    comments = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in comments)
    return "\0".join(text.value for text in texts if isinstance(text.value, str))


def quoted():
    """The errors that the page quotes: the cells below the heading "the line says"."""
    column = None
    for line in (OPERATIONS / "mend.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            column = None
        elif "the line says" in cells:
            column = cells.index("the line says")
        elif column is not None and not set(line) <= set("|- "):
            yield from SPAN.findall(cells[column])


def test_every_quoted_error_is_in_the_code():
    found = list(quoted())
    assert len(found) > 50
    for line in found:
        for piece in filter(str.strip, line.split("…")):
            known = piece in said()  # apart, for a failure that can be read
            assert known, f"no code says {piece!r} ({line})"


def raised():
    """The errors that code raises: the pieces between the values of each."""
    for tree in trees():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if name in ERRORS:
                pieces = ast.walk(call.args[-1] if name == "_mistake" else call.args[0])
                yield [piece.value for piece in pieces if isinstance(piece, ast.Constant)]


def test_the_page_quotes_every_error():
    """Those without words of their own pass on others'."""
    rows = [[piece for piece in line.split("…") if piece.strip()] for line in quoted()]
    for pieces in raised():
        text = "\0".join(piece for piece in pieces if isinstance(piece, str))
        if re.search(r"[a-z]+ [a-z]+ [a-z]+", text):
            assert any(all(piece in text for piece in row) for row in rows), f"no row for {text!r}"
