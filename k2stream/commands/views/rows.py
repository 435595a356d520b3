"""Rows for a terminal: a table where it fits, otherwise the fields of each row below one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text


def fits(shown: Table, console: Console) -> bool:
    """Whether a table is as wide as the terminal at most, with nothing broken over lines."""
    wide = console.options.update(width=10_000)
    return console.measure(shown, options=wide).maximum <= console.width


def rows_shown(rows: Sequence[Mapping[str, str]], console: Console, *, below: bool = False) -> RenderableType:
    """Rows of the same fields; `below`: the fields below one another in any case."""
    shown = Table(box=None, pad_edge=False)
    for heading in rows[0] if rows else ():
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*row.values())
    if not below and fits(shown, console):
        return shown
    return Group(*(part for row in rows for part in (_below(row), Text())))


def _below(row: Mapping[str, str]) -> Table:
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(overflow="fold")
    for field, value in row.items():
        shown.add_row(field, value)
    return shown
