"""The report of a verification: as a value, and on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.commands.views.comparisons import comparison_value, comparisons_shown
from k2stream.reconcile.oracle.run import Report

MOVED_ON = "moved on: compared, with trades that came after this began"


def report_value(report: Report) -> dict[str, Any]:
    """The report as JSON: counts per exchange and layer, and comparisons per layer."""
    return {
        "ok": not report.differences,
        "differences": report.differences,
        "candles": report.candles,
        "exchanges": report.counts,
        "exchanges_off": list(report.off),
        "layers": [comparison_value(item) for item in report.comparisons],
    }


def verdict(report: Report) -> Text:
    """The result in one line."""
    wrong = [item.layer for item in report.comparisons if item.total]
    if not report.differences:
        said = f"OK: every layer agrees, {report.candles:,} candles recomputed, 0 differences"
        return Text(said, style="bold green")
    where = ", ".join(wrong)
    if report.waiting:
        said = (
            f"{report.differences:,} rows are missing in {where}: late or lost, so verify again in a minute"
        )
        return Text(said, style="bold yellow")
    return Text(f"{report.differences:,} differences in {where}", style="bold red")


def report_shown(report: Report) -> RenderableType:
    """Counts by layer and exchange, comparisons by layer, and the first differences."""
    table = Table(box=None, pad_edge=False)
    table.add_column("records", no_wrap=True)
    for name in report.counts:
        table.add_column(name, justify="right", no_wrap=True)
    for layer in next(iter(report.counts.values()), {}):
        table.add_row(layer, *(f"{counts[layer]:,}" for counts in report.counts.values()))
    return Group(table, Text(), comparisons_shown(report.comparisons, MOVED_ON))
