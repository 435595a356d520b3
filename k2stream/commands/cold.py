"""`k2 cold …`: commits, maintains, adopts and scans the Iceberg tier."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import click
import httpx

from k2stream.commands import options
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.commands.suggested import Suggesting
from k2stream.commands.views.rows import rows_shown
from k2stream.iceberg import owner, read
from k2stream.iceberg.catalog import existing_catalog
from k2stream.iceberg.maintenance import log, maintain
from k2stream.iceberg.maintenance.maintain import Limits
from k2stream.model.duration import duration
from k2stream.model.errors import ConfigError
from k2stream.platform.running import find, reached
from k2stream.settings import current


@click.group(cls=Suggesting)
def cold() -> None:
    """Work with the Iceberg tier."""


@cold.command()
@click.option(
    "--url",
    type=options.BaseUrl(),
    help="Base URL of a cold worker; otherwise that of the running platform.",
)
@printed
def flush(url: str | None, *, out: Printer) -> None:
    """Commit what the cold worker holds now, instead of at its next interval."""
    settings = current()
    running = find(settings)
    base = url or (running.urls.get("cold") if running else None)
    if base is None:
        raise ConfigError(f"nothing runs on {settings.local.data_path}; start it with `k2 up`, or give --url")
    worker = (running.settings if running else settings).worker
    try:
        answer = httpx.post(f"{base}/cold/flush", timeout=120, **worker.web_connection)
    except httpx.TransportError as error:
        raise ConfigError(f"no answer from {base}: {error}; start a cold worker, or correct --url") from None
    if answer.is_error:
        raise ConfigError(f"{base}/cold/flush answered {answer.status_code}: {answer.text}")
    out.line(answer.json(), answer.text)


@cold.command(name="maintain")
@click.option("--table", "tables", multiple=True, help="Only this table (repeatable); otherwise all.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done, and change nothing; leaves out the audit."
)
@printed
def maintain_command(tables: tuple[str, ...], dry_run: bool, *, out: Printer) -> None:
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
            out.line({"table": name, "step": step, "would": text}, f"{name:25} {step:8} {text}")
        return
    from k2stream.reconcile.audit.run import audit

    good = True
    for entry in maintain.maintain(catalog, names, limits, partial(audit, settings, catalog)):
        good &= entry.status == "OK"
        out.line(asdict(entry), _line(entry))
    if not good:
        raise SystemExit(FAILED)


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
@printed
def adopt(yes: bool, *, out: Printer) -> None:
    """Make this platform the owner of the tables' files, where they are another's or nobody's.

    Whose they were stops writing and cleaning there. What was there before is never removed.
    """
    catalog = existing_catalog(reached(current()).iceberg)
    others = owner.others(catalog)
    for table, found in others:
        owner_name = f"{found.catalog}, table {found.table}" if found else "nobody"
        out.say(f"{'.'.join(table.name())}: {table.location()} is of {owner_name}")
    names = [".".join(table.name()) for table, _ in others]
    if not others:
        out.line({"adopted": []}, "all tables' files are this platform's own")
    elif out.confirm("make them this platform's? Their previous owner must no longer write there", yes=yes):
        for table, _ in others:
            owner.adopt(catalog, table)
        out.line({"adopted": names}, f"{len(others)} tables adopted")


@cold.command()
@click.argument("table")
@click.option("--where", default="", help="""A filter, e.g. "trade_count > 5 and volume > 80000".""")
@click.option("--columns", default="", help="Only these, separated by commas.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Rows at most.")
@printed
def scan(table: str, where: str, columns: str, limit: int, *, out: Printer) -> None:
    """Print a slice of TABLE, e.g. silver_trades, as the last commit left it."""
    (name,) = maintain.names_of([table])
    chosen = tuple(columns.split(",")) if columns else read.ALL_COLUMNS
    row_filter, settings = read.filter_of(name, where), reached(current())
    rows = read.page(existing_catalog(settings.iceberg), name, row_filter, chosen, limit)
    found = rows.to_pylist(maps_as_pydicts="strict")
    if out.as_json:
        for row in found:
            out.line(row, "")
        return
    texts = [{name: _cell(value) for name, value in row.items()} for row in found]
    if found:
        out.show(found, lambda console: rows_shown(texts, console))
    else:
        often = duration(settings.sinks.cold_commit_seconds)
        out.note(f"no rows as of the last commit: one comes every {often}, or with `k2 cold flush`")


def _cell(value: object) -> str:
    return "" if value is None else str(value)
