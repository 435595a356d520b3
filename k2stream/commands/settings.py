"""`k2 settings`: every setting, its value and where it comes from."""

from __future__ import annotations

import os

import click
import msgspec
from rich.console import Console
from rich.table import Table

from k2stream import settings as settings_module

_SECRET = ("password",)


@click.command()
def settings() -> None:
    """List every setting: its environment variable, its value, and whether the environment sets it."""
    values = msgspec.structs.asdict(settings_module.get())
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name, value in values.items():
        variable = settings_module.PREFIX + name.upper()
        shown = "***" if value and name.endswith(_SECRET) else str(value)
        table.add_row(variable, shown, "environment" if variable in os.environ else "default")
    Console().print(table)
