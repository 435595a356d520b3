"""Shows comparisons of layers on a terminal: a table, then the first differences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from k2stream.model.comparison import Comparison

SHOWN = 20
"""Differences printed; further ones are only counted."""


def show_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print one row per layer, what was not compared and why, and the first differences."""
    table = Table(box=None, pad_edge=False)
    for heading in ("layer", "compared", "moved on", "not compared", "differences"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for item in comparisons:
        table.add_row(
            item.layer,
            f"{item.compared:,}",
            f"{item.newer:,}" if item.newer else "",
            f"{item.skipped:,}" if item.skipped else "",
            f"{item.total:,}",
            style="bold red" if item.total else "",
        )
    console.print(table)
    for item in comparisons:
        if item.skipped:
            console.print(f"  {item.layer}: {item.skipped:,} not compared: {item.reason}", highlight=False)
    listed = [difference for item in comparisons for difference in item.differences][:SHOWN]
    for difference in listed:
        console.print(f"  {difference}", style="red", highlight=False)
    rest = sum(item.total for item in comparisons) - len(listed)
    if rest:
        console.print(f"  … and {rest:,} more")
