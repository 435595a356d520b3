"""A verification as tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from k2stream.reconcile.oracle.run import Report

_SHOWN = 20


def show(report: Report, console: Console) -> None:
    """Print counts per exchange, candles compared per layer, and the first differences."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("exchange", no_wrap=True)
    for layer in next(iter(report.counts.values())):
        table.add_column(layer, justify="right", overflow="fold", min_width=6)
    for name, counts in report.counts.items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    console.print(table)
    console.print()
    compared = Table(box=None, pad_edge=False)
    for heading in ("layer", "compared", "moved on", "not compared", "differences"):
        compared.add_column(heading, justify="left" if heading == "layer" else "right")
    for item in report.comparisons:
        style = "bold red" if item.differences else ""
        compared.add_row(
            item.layer,
            f"{item.compared:,}",
            f"{item.newer:,}" if item.newer else "",
            f"{item.skipped:,}" if item.skipped else "",
            f"{len(item.differences):,}",
            style=style,
        )
    console.print(compared)
    for item in report.comparisons:
        if item.skipped:
            console.print(f"  {item.layer}: {item.skipped:,} not compared: {item.reason}", highlight=False)
    differences = [difference for item in report.comparisons for difference in item.differences]
    for difference in differences[:_SHOWN]:
        console.print(f"  {difference}", style="red", highlight=False)
    if len(differences) > _SHOWN:
        console.print(f"  … and {len(differences) - _SHOWN:,} more")
