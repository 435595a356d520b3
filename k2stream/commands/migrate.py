"""`k2 migrate`: bring the ClickHouse tables up to date."""

from __future__ import annotations

import click

from k2stream import settings as settings_module
from k2stream.local.running import reached
from k2stream.sinks.clickhouse import connect
from k2stream.sinks.migrate import migrate as apply


@click.command()
def migrate() -> None:
    """Create or update the ClickHouse tables (workers do it at start as well)."""
    settings = reached(settings_module.get())
    applied = apply(connect(settings), settings)
    click.echo("\n".join(f"applied {name}" for name in applied) or "up to date")
