"""Comparisons of layers: as values, and on a terminal as a table and the first differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.model.comparison import Comparison

SHOWN = 20
"""Differences printed; further ones are only counted."""

MOVED_ON = "moved on: changed after this began, and not compared"
_COMING = "coming: behind, rows that came after this began are still on their way"


def comparison_value(item: Comparison) -> dict[str, Any]:
    """A comparison as JSON: its counts, and its first differences as sentences."""
    return {
        "layer": item.layer,
        "compared": item.compared,
        "moved_on": item.newer,
        "coming": item.coming,
        "not_compared": item.skipped,
        "reason": item.reason,
        "differences": item.total,
        "first": [str(difference) for difference in item.differences[:SHOWN]],
    }


def comparisons_shown(comparisons: Sequence[Comparison], moved_on: str = MOVED_ON) -> RenderableType:
    """One row per layer, what the columns mean, what was not compared and why, and the first differences."""
    table = Table(box=None, pad_edge=False)
    for heading in ("layer", "compared", "moved on", "coming", "not compared", "differences"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for item in comparisons:
        table.add_row(
            item.layer,
            f"{item.compared:,}",
            f"{item.newer:,}" if item.newer else "",
            f"{item.coming:,}" if item.coming else "",
            f"{item.skipped:,}" if item.skipped else "",
            f"{item.total:,}",
            style="bold red" if item.total else "",
        )
    said = {
        moved_on: any(item.newer for item in comparisons),
        _COMING: any(item.coming for item in comparisons),
    }
    below = [Text(f"  {text}", "dim") for text, needed in said.items() if needed]
    below += [
        Text(f"  {item.layer}: {item.skipped:,} not compared: {item.reason}")
        for item in comparisons
        if item.skipped
    ]
    listed = [difference for item in comparisons for difference in item.differences][:SHOWN]
    below += [Text(f"  {difference}", "red") for difference in listed]
    rest = sum(item.total for item in comparisons) - len(listed)
    if rest:
        below.append(Text(f"  … and {rest:,} more"))
    return Group(table, *below)
