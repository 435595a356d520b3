"""The report of a verification: as a value, and on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.commands.views.comparisons import comparison_value, comparisons_shown
from k2stream.reconcile.oracle.run import Report


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


def report_shown(report: Report) -> RenderableType:
    """Counts per exchange, comparisons per layer, and the first differences."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("exchange", no_wrap=True)
    for layer in next(iter(report.counts.values())):
        table.add_column(layer, justify="right", overflow="fold", min_width=6)
    for name, counts in report.counts.items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    return Group(table, Text(), comparisons_shown(report.comparisons))
