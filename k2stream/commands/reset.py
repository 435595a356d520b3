"""`k2 reset`: deletes the embedded stack's data."""

from __future__ import annotations

import click

from k2stream.embedded import datadir
from k2stream.settings import current


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Delete everything in the data folder: topics, schemas, ClickHouse and Iceberg tables."""
    folder = current().local.data_path
    if not folder.exists():
        click.echo(f"nothing to delete: {folder} does not exist")
        return
    if not yes:
        click.confirm(f"Delete all topics, schemas and tables in {folder}?", abort=True)
    datadir.wipe(folder)
    click.echo(f"{folder} is empty")
