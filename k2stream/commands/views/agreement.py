"""Shows on a terminal how far candles agree with the exchanges' klines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from k2stream.clickhouse.agreement import AgreementCount, KlineDifference
from k2stream.model import clock


def show_summary(counts: Sequence[AgreementCount], console: Console) -> None:
    """Print a row per exchange and timeframe, and why candles are not comparable."""
    table = _table("exchange", "timeframe")
    for heading in ("checked", "equal", "different", "not comparable"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in counts:
        table.add_row(
            *(row.exchange, row.timeframe, f"{row.checked:,}", f"{row.equal:,}"),
            Text(f"{row.different:,}", style="bold red" if row.different else "dim"),
            f"{row.not_comparable:,}",
        )
    console.print(table)
    reasons = _table("not comparable", "exchange", "timeframe", "why")
    for row in counts:
        for reason, count in sorted(row.reasons.items(), key=lambda item: -item[1]):
            reasons.add_row(f"{count:,}", row.exchange, row.timeframe, reason)
    if reasons.row_count:
        console.print()
        console.print(reasons)


def show_difference(found: KlineDifference, console: Console) -> None:
    """Print one candle that differs, with what explains it."""
    name = f"{found.exchange} {found.canonical_symbol} {found.timeframe} {clock.format_utc(found.open_time)}"
    console.print(f"[bold]{name}[/] revision {found.revision}", highlight=False)
    for name, ours, theirs in zip(found.fields, found.ours, found.theirs, strict=True):
        console.print(f"  {name}: {ours}, the exchange has {theirs}", highlight=False)
    for line in found.explanation:
        console.print(f"  [dim]{line}[/]", highlight=False)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "why")
    return table
