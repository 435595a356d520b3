"""`k2 table …`: reads Faust tables from their changelog topics; no worker needs to run."""

from __future__ import annotations

import asyncio
import csv
from functools import partial
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.commands.suggested import Suggesting
from k2stream.commands.views.rows import fits, rows_shown
from k2stream.kafka.reader import Reader
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.settings import Settings, current
from k2stream.tables.catalog import Readable, Row, catalog
from k2stream.tables.changelog import Contents, read

_json = msgspec.json.Encoder()


_name = click.argument("name")
_key = click.option("--key", metavar="K", help="Only this key; of a window table all windows of the key.")
_at = click.option(
    "--at", type=options.Moment(), help="As it stood at this time: ms since 1970 or ISO 8601, UTC."
)


@click.group(cls=Suggesting)
def table() -> None:
    """Read a Faust table from its changelog topic; no worker needs to run."""


@table.command("list")
@printed
def list_tables(*, out: Printer) -> None:
    """List the tables, and what their changelogs hold."""
    settings = reached(current())
    found = asyncio.run(_list(settings, catalog(settings)))
    simulated = settings.feeds.simulated
    out.show({"simulated": simulated, "tables": found}, partial(_list_shown, found, simulated))


async def _list(settings: Settings, tables: dict[str, Readable]) -> list[dict[str, Any]]:
    found = []
    async with Reader(settings.kafka) as reader:
        for name, readable in tables.items():
            topic, partitions = readable.table.changelog_topic_name, readable.table.partitions or 1
            retained = await reader.retained(topic, partitions) if await reader.exists(topic) else {}
            entries = sum(end - begin for begin, end in retained.values())
            counts = {"entries": entries, "partitions": partitions}
            found.append({"table": name, **counts, "holds": readable.table.help, "changelog": topic})
    return found


def _list_shown(found: list[dict[str, Any]], simulated: bool, console: Console) -> Table:
    """The tables; with the topics of their changelogs where there is room."""
    shown = _list_table(found, simulated, "holds", "changelog")
    return shown if fits(shown, console) else _list_table(found, simulated, "holds")


def _list_table(found: list[dict[str, Any]], simulated: bool, *texts: str) -> Table:
    shown = Table(box=None, pad_edge=False, title="SIMULATED feeds" if simulated else None)
    shown.add_column("table", no_wrap=True)
    for heading in ("entries", "parts"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for heading in texts:
        shown.add_column(heading)
    for item in found:
        counts = (f"{item['entries']:,}", str(item["partitions"]))
        shown.add_row(item["table"], *counts, *(item[text] for text in texts))
    return shown


@table.command()
@_name
@_key
@_at
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many rows, the last in key order.",
)
@printed
def show(name: str, key: str | None, at: int | None, limit: int, *, out: Printer) -> None:
    """Print the rows of table NAME."""
    contents = _read(name, key, at, out)
    rows = contents.rows[-limit:]
    texts = [{field: _text(value) for field, value in row.items()} for row in rows]
    counts = {"of": len(contents.rows), "entries": contents.entries}
    single = len(rows) == 1 and key is not None
    value = {"table": name, "rows": rows, **counts, "notes": contents.notes}
    out.show(value, lambda console: rows_shown(texts, console, below=single))
    out.say(f"{len(rows):,} of {len(contents.rows):,} rows, from {contents.entries:,} changelog entries")


@table.command()
@_name
@_key
@_at
@click.option("--format", "layout", type=click.Choice(("jsonl", "csv")), default="jsonl", show_default=True)
@click.option("--out", "file", type=options.OutputFile(), help="A file; otherwise standard output.")
@printed
def export(
    name: str, key: str | None, at: int | None, layout: str, file: Path | None, *, out: Printer
) -> None:
    """Write the rows of table NAME as JSON lines or CSV; decimals are strings with all their digits."""
    if out.as_json and layout == "csv" and file is None:
        raise click.UsageError("--json and --format csv both choose what standard output is: give --out")
    rows = _read(name, key, at, out).rows
    write = _write_csv if layout == "csv" else _write_lines
    if file is None:
        write(rows, click.get_text_stream("stdout"))
        return
    with file.open("w", newline="") as opened:
        write(rows, opened)
    if out.as_json:
        out.line({"table": name, "rows": len(rows), "file": str(file)}, "")
    else:
        out.note(f"{len(rows):,} rows in {file}", "")


def _read(name: str, key: str | None, at: int | None, out: Printer) -> Contents:
    settings = reached(current())
    tables = catalog(settings)
    if name not in tables:
        raise ConfigError(f"there is no table {name}; use one of {', '.join(tables)}")
    contents = asyncio.run(read(settings.kafka, tables[name], key, at))
    for note in contents.notes:
        out.note(f"note: {note}", "")
    if key is not None and not contents.rows:
        when = "" if at is None else f" at {clock.format_utc(at)} UTC"
        raise ConfigError(f"table {name} has no key {key!r}{when}; `k2 table show {name}` lists its rows")
    return contents


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json.encode(value).decode()


def _write_lines(rows: list[Row], file: IO[str]) -> None:
    file.writelines(_json.encode(row).decode() + "\n" for row in rows)


def _write_csv(rows: list[Row], file: IO[str]) -> None:
    writer = csv.writer(file)
    if rows:
        writer.writerow(rows[0])
    writer.writerows(map(_text, row.values()) for row in rows)
