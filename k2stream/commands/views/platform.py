"""The status view of the running platform, for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from k2stream import topics
from k2stream.commands.views.statuses import ExchangeStatus, exchange_status, layer_statuses, silent
from k2stream.model.duration import duration
from k2stream.model.precision import grouped
from k2stream.platform.snapshot import Snapshot

_MB = 1 << 20


def render(snapshot: Snapshot, service: str, example: str) -> RenderableType:
    """Render the whole view; `service` is where the page is, `example` an example URL of candles."""
    parts: list[RenderableType] = [_feeds(snapshot), Text(), _layers(snapshot), *_notes(snapshot)]
    if silent(snapshot):
        parts += [Text(), Text(f"no answer from: {', '.join(silent(snapshot))}", style="bold red")]
    for name, said in snapshot.refused.items():
        parts += [Text(), Text(f"{name} refused its state: {said}", style="bold red")]
    label = Text(" SIMULATED exchanges ", style="black on yellow") if snapshot.simulated else Text(" LIVE ")
    footer = Text(f"page: {service}/\ncandles: {example}", style="dim")
    return Panel(Group(*parts, Text(), footer), title=Text("K2 stream ") + label, title_align="left")


def _feeds(snapshot: Snapshot) -> Table:
    table = _table("exchange", "feed", "per s", "trades", "lag", "delay", "dead", "recon", "last price")
    for name in topics.EXCHANGES:
        status = exchange_status(snapshot, name)
        table.add_row(
            name,
            _feed(status),
            f"{status.trades_per_second:,.0f}",
            f"{status.trades:,}",
            f"{status.lag:,}",
            f"{status.delay_ms:,.0f} ms",
            _warn(status.dead_letters),
            _warn(status.reconnects),
            price_text(status.last_symbol, status.last_price),
        )
    return table


def _feed(status: ExchangeStatus) -> Text:
    """Whether the feed is up, or how many of its symbols are subscribed."""
    if status.up:
        return Text("up", style="green")
    if not status.confirmed:
        return Text("down", style="bold red")
    return Text(f"{status.confirmed} of {status.symbols}", style="bold yellow")


def _table(first: str, *headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def price_text(symbol: str | None, price: str | None) -> str:
    """A symbol and its price with all its digits; "-" if there is none."""
    return f"{symbol} {grouped(price)}" if price is not None else "-"


def _warn(count: int) -> Text:
    return Text(f"{count:,}", style="yellow" if count else "dim")


def _layers(snapshot: Snapshot) -> Table:
    table = _table("layer", "rows", "rows/s", "lag", "p50", "p99", "errors")
    for layer in layer_statuses(snapshot):
        table.add_row(
            layer.layer,
            f"{layer.rows:,}",
            f"{layer.rows_per_second:,.0f}",
            "" if layer.lag is None else f"{layer.lag:,}",
            _ms(layer.p50_ms),
            _ms(layer.p99_ms),
            "" if layer.errors is None else _warn(layer.errors),
        )
    return table


def _notes(snapshot: Snapshot) -> list[Text]:
    """What is said below the layers."""
    memory = sum(snapshot.memory.values()) / _MB
    said = ["lag: records not yet read; dead: dead letters; recon: reconnects"]
    said += [f"{memory:,.0f} MB in {len(snapshot.memory)} processes"] if snapshot.memory else []
    if snapshot.commit_seconds:
        said.append(f"Iceberg commits every {duration(snapshot.commit_seconds)}: until then its lag grows")
    return [Text(text, style="dim italic") for text in said]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
