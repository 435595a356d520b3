"""Shows the report of a verification on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from k2stream.commands.views.comparisons import show_comparisons
from k2stream.reconcile.oracle.run import Report


def show(report: Report, console: Console) -> None:
    """Print counts per exchange, comparisons per layer, and the first differences."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("exchange", no_wrap=True)
    for layer in next(iter(report.counts.values())):
        table.add_column(layer, justify="right", overflow="fold", min_width=6)
    for name, counts in report.counts.items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    console.print(table)
    console.print()
    show_comparisons(report.comparisons, console)
