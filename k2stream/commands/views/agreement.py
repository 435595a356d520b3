"""How far candles agree with the exchanges' klines, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.clickhouse.agreement import AgreementCount, KlineDifference
from k2stream.model import clock


def summary_shown(counts: Sequence[AgreementCount]) -> RenderableType:
    """A row per exchange and timeframe, and why candles are not comparable; nothing without a comparison."""
    table = _table("exchange", "timeframe")
    for heading in ("checked", "equal", "different", "not comparable"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in counts:
        table.add_row(
            *(row.exchange, row.timeframe, f"{row.checked:,}", f"{row.equal:,}"),
            Text(f"{row.different:,}", style="bold red" if row.different else "dim"),
            f"{row.not_comparable:,}",
        )
    reasons = _table("not comparable", "exchange", "timeframe", "why")
    for row in counts:
        for reason, count in sorted(row.reasons.items(), key=lambda item: -item[1]):
            reasons.add_row(f"{count:,}", row.exchange, row.timeframe, reason)
    if not counts:
        return Group()
    return Group(table, Text(), reasons) if reasons.row_count else table


def differences_shown(found: Sequence[KlineDifference]) -> RenderableType:
    """The candles that differ, with what explains each."""
    return Group(*(line for each in found for line in _lines(each)))


def _lines(found: KlineDifference) -> Iterator[Text]:
    name = f"{found.exchange} {found.canonical_symbol} {found.timeframe} {clock.format_utc(found.open_time)}"
    yield Text.assemble((name, "bold"), f" revision {found.revision}")
    for field, ours, theirs in zip(found.fields, found.ours, found.theirs, strict=True):
        yield Text(f"  {field}: {ours}, the exchange has {theirs}")
    yield from (Text(f"  {line}", "dim") for line in found.explanation)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "why")
    return table
