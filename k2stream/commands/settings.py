"""`k2 settings`: lists every setting, its value and its source."""

from __future__ import annotations

import os

import click
from rich.console import Console
from rich.table import Table

from k2stream.settings import current, listing


@click.command()
def settings() -> None:
    """List every setting: its environment variable, its value, and whether the environment sets it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "value", "from"):
        table.add_column(heading, overflow="fold")
    for listed in listing(current(), os.environ):
        table.add_row(*listed)
    Console().print(table)
