"""`k2 replay`: rebuilds everything from the raw records, compares, and swaps."""

from __future__ import annotations

import asyncio
from contextlib import closing

import click

from k2stream.batch import BatchTable
from k2stream.clickhouse.destination import UNAVAILABLE
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.comparisons import comparison_value, comparisons_shown
from k2stream.commands.views.replay import Meter
from k2stream.iceberg.catalog import existing_catalog
from k2stream.iceberg.fresh import FRESH
from k2stream.kafka.groups import members
from k2stream.model.errors import ConfigError
from k2stream.platform.running import Running, find
from k2stream.reconcile.settle import settle
from k2stream.replay import run, swap
from k2stream.replay.groups import check_still, still
from k2stream.replay.source import Origin
from k2stream.replay.tables import Tables
from k2stream.replay.tiers import Tiers
from k2stream.settings import Settings, current
from k2stream.tables.catalog import catalog


@click.command()
@click.option(
    "--from",
    "origin",
    type=click.Choice(("auto", "topics", "cold")),
    default="auto",
    show_default=True,
    help="Raw records from the topics, from Iceberg bronze, or from bronze where the topics have expired.",
)
@click.option("--swap", "swapping", is_flag=True, help="Replace the live layers with the rebuilt ones.")
@click.option("--yes", is_flag=True, help="Swap without asking.")
@click.option("--undo", is_flag=True, help="Swap ClickHouse and Iceberg back; the tables stay.")
@click.option("--drop", is_flag=True, help="Remove the rebuilt layers, or the old ones that a swap kept.")
@printed
def replay(origin: Origin, swapping: bool, yes: bool, undo: bool, drop: bool, *, out: Printer) -> None:
    """Rebuild all layers from the raw records beside the live ones, and compare.

    Writes ClickHouse database <database>_replay and Iceberg namespace cold_replay, in the place of what was
    there. Beside a running platform it compares what it covers. --swap needs all workers stopped and no lag.
    Exits 1 when anything differs and is not swapped in.
    """
    if swapping + undo + drop > 1:
        raise click.UsageError("choose one of --swap, --undo and --drop")
    running = find(current())
    settings = running.settings if running else current()
    if running is None:
        existing_catalog(settings.iceberg)  # before anything is created
    # A table that names no source is not made from records alone.
    tables = {name: item.table for name, item in catalog(settings).items() if item.table.source}
    tiers = Tiers.from_settings(settings)
    with closing(tiers.hot):
        try:
            if drop:
                for tier in tiers:
                    tier.drop()
                text = f"removed ClickHouse database {tiers.hot.fresh} and Iceberg namespace {FRESH}"
                out.line({"removed": {"clickhouse": tiers.hot.fresh, "iceberg": FRESH}}, text)
            elif undo:
                asyncio.run(swap.undo(settings, tiers))
                out.line({"swapped_back": True}, "swapped ClickHouse and Iceberg back")
            else:
                made = _replay(running, settings, tiers, tables, origin, out, swapping=swapping, yes=yes)
                if asyncio.run(made):
                    raise SystemExit(FAILED)
        except UNAVAILABLE as error:
            raise ConfigError(" ".join(str(error).split())) from None


async def _replay(
    running: Running | None,
    settings: Settings,
    tiers: Tiers,
    loaded: dict[str, BatchTable],
    origin: Origin,
    out: Printer,
    *,
    swapping: bool,
    yes: bool,
) -> int:
    """Rebuild, compare and, if asked, swap; returns the number of remaining differences."""
    if swapping:
        await check_still(settings)
    outcome = await run.rebuild(settings, tiers, origin, out.note, Meter())
    out.say(f"rebuilt from {outcome.records:,} raw records")
    if running and not swapping and await members(settings.kafka):
        await settle(running)
    tables = Tables(loaded, outcome.rebuild, settings.candles.retention)
    stands = swapping or await still(settings)
    compared = list(await run.compare(settings, tiers, tables, outcome.covered, still=stands))
    differences = sum(layer.total for layer in compared)
    layers = [comparison_value(layer) for layer in compared]
    counts = {"records": outcome.records, "differences": differences}
    out.show({**counts, "layers": layers}, comparisons_shown(compared))
    out.say(f"{differences:,} differences")
    if swapping and out.confirm("replace the live layers with the rebuilt ones?", yes=yes):
        keys = await swap.swap(settings, tiers, tables, outcome.covered)
        text = (
            f"swapped, and {keys:,} table entries rewritten; the old layers are in ClickHouse database "
            f"{tiers.hot.fresh} and Iceberg namespace {FRESH}: `k2 replay --undo` or --drop"
        )
        out.line({"swapped": True, "entries": keys}, text)
        return 0
    return differences
