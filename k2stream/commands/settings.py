"""`k2 settings`: lists every setting, its value and its source."""

from __future__ import annotations

import os

import click
from rich.table import Table

from k2stream.commands.output import Printer, printed
from k2stream.settings import current, listing


@click.command()
@printed
def settings(*, out: Printer) -> None:
    """List every setting: its environment variable, its value, and whether the environment sets it."""
    listed = list(listing(current(), os.environ))
    named = [dict(zip(("variable", "value", "from"), line, strict=True)) for line in listed]
    out.show({"settings": named}, _table(listed))


def _table(listed: list[tuple[str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "value", "from"):
        table.add_column(heading, overflow="fold")
    for line in listed:
        table.add_row(*line)
    return table
