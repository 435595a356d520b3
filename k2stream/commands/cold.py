"""`k2 cold …`: commits, maintains, adopts and scans the Iceberg tier."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import click
import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from k2stream.commands import options
from k2stream.iceberg import owner, read
from k2stream.iceberg.catalog import existing_catalog
from k2stream.iceberg.maintenance import log, maintain
from k2stream.iceberg.maintenance.maintain import Limits
from k2stream.model.errors import ConfigError
from k2stream.platform.running import find, reached
from k2stream.settings import current


@click.group()
def cold() -> None:
    """Work with the Iceberg tier."""


@cold.command()
@click.option(
    "--url",
    type=options.BaseUrl(),
    help="Base URL of a cold worker; otherwise that of the running platform.",
)
def flush(url: str | None) -> None:
    """Commit what the cold worker holds now, instead of at its next interval."""
    settings = current()
    running = find(settings)
    base = url or (running.urls.get("cold") if running else None)
    if base is None:
        raise ConfigError(f"nothing runs on {settings.local.data_path}; start it with `k2 up`, or give --url")
    try:
        answer = httpx.post(f"{base}/cold/flush", timeout=120)
    except httpx.TransportError as error:
        raise ConfigError(f"no answer from {base}: {error}; start a cold worker, or correct --url") from None
    if answer.is_error:
        raise ConfigError(f"{base}/cold/flush answered {answer.status_code}: {answer.text}")
    click.echo(answer.text)


@cold.command(name="maintain")
@click.option("--table", "tables", multiple=True, help="Only this table (repeatable); otherwise all.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done, and change nothing; leaves out the audit."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a step.")
def maintain_command(tables: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Compact the tables, expire snapshots, remove orphans, audit; beside running workers, at any time.

    Exits 1 when a step fails, or the audit finds rows missing or differing. Everything is logged in
    cold.maintenance_log.
    """
    settings = reached(current())
    names = maintain.names_of(tables)
    catalog = existing_catalog(settings.iceberg)
    if not any(map(catalog.table_exists, names)):
        raise ConfigError(f"{names[0]} does not exist yet: a cold worker creates it")
    limits = Limits(
        settings.maintenance.compact_rows,
        settings.maintenance.snapshot_seconds,
        settings.maintenance.orphan_seconds,
    )
    if dry_run:
        for name, step, text in maintain.plan(catalog, names, limits):
            click.echo(f"{name:25} {step:8} {text}")
        return
    from k2stream.reconcile.audit.run import audit

    good = True
    for entry in maintain.maintain(catalog, names, limits, partial(audit, settings, catalog)):
        good &= entry.status == "OK"
        click.echo(msgspec.json.encode(asdict(entry)).decode() if as_json else _line(entry))
    raise SystemExit(0 if good else 1)


def _line(entry: log.Entry) -> str:
    did = (
        f"{entry.files_before} → {entry.files_after} files"
        if entry.step != "audit"
        else f"{entry.rows:,} rows"
    )
    text = f"{entry.table:25} {entry.step:8} {entry.status:8}{entry.seconds:7.2f} s  {did:22} {entry.detail}"
    return text.rstrip()


@cold.command()
@click.option("--yes", is_flag=True, help="Adopt without asking.")
def adopt(yes: bool) -> None:
    """Make this platform the owner of the tables' files, where they are another's or nobody's.

    Whose they were stops writing and cleaning there. What was there before is never removed.
    """
    catalog = existing_catalog(reached(current()).iceberg)
    others = owner.others(catalog)
    for table, found in others:
        owner_name = f"{found.catalog}, table {found.table}" if found else "nobody"
        click.echo(f"{'.'.join(table.name())}: {table.location()} is of {owner_name}")
    if not others:
        click.echo("all tables' files are this platform's own")
    elif yes or click.confirm("make them this platform's? Their previous owner must no longer write there"):
        for table, _ in others:
            owner.adopt(catalog, table)
        click.echo(f"{len(others)} tables adopted")


@cold.command()
@click.argument("table")
@click.option("--where", default="", help="""A filter, e.g. "trade_count > 5 and volume > 80000".""")
@click.option("--columns", default="", help="Only these, separated by commas.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Rows at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a row.")
def scan(table: str, where: str, columns: str, limit: int, as_json: bool) -> None:
    """Print a slice of TABLE, e.g. silver_trades, as the last commit left it."""
    (name,) = maintain.names_of([table])
    chosen = tuple(columns.split(",")) if columns else read.ALL_COLUMNS
    row_filter = read.filter_of(name, where)
    rows = read.page(existing_catalog(current().iceberg), name, row_filter, chosen, limit)
    if as_json:
        for row in rows.to_pylist(maps_as_pydicts="strict"):
            click.echo(msgspec.json.encode(row))
        return
    shown = Table(box=None, pad_edge=False)
    for column in rows.column_names:
        shown.add_column(column, no_wrap=True)
    for row in rows.to_pylist(maps_as_pydicts="strict"):
        shown.add_row(*map(_cell, row.values()))
    console = Console()
    console.width = max(
        console.width, console.measure(shown, options=console.options.update(width=10_000)).maximum
    )
    console.print(shown, crop=False, overflow="ignore", soft_wrap=True)


def _cell(value: object) -> str:
    return "" if value is None else str(value)
