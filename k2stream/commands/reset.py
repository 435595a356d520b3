"""`k2 reset`: deletes the embedded stack's data."""

from __future__ import annotations

import click

from k2stream.commands.output import Printer, printed
from k2stream.embedded import datadir, room
from k2stream.settings import current


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@printed
def reset(yes: bool, *, out: Printer) -> None:
    """Delete everything in the data folder: topics, schemas, ClickHouse and Iceberg tables."""
    folder = current().local.data_path
    if not folder.exists():
        out.line({"folder": str(folder), "deleted": False}, f"nothing to delete: {folder} does not exist")
        return
    size = room.used_bytes(folder)
    if not out.confirm(f"Delete all topics, schemas and tables in {folder} ({room.amount(size)})?", yes=yes):
        raise click.Abort
    datadir.wipe(folder)
    free = room.amount(room.free_bytes(folder))
    text = f"deleted {room.amount(size)}: {folder} is empty; its disk has {free} free"
    out.line({"folder": str(folder), "deleted": True, "bytes": size}, text)
