"""The status view of the running platform, for a terminal."""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from k2stream import topics
from k2stream.layers.table import TABLES
from k2stream.model.roles import Role
from k2stream.platform.scrape import Samples
from k2stream.platform.snapshot import LATENCY, Snapshot

_MS = 1_000
_MB = 1 << 20


def render(snapshot: Snapshot, example: str) -> RenderableType:
    """Render the whole view; `example` is an example URL of candles."""
    parts: list[RenderableType] = [_feeds(snapshot), Text(), _layers(snapshot)]
    silent = [name for name in snapshot.now.silent if name not in snapshot.refused]
    if silent:
        parts += [Text(), Text(f"no answer from: {', '.join(silent)}", style="bold red")]
    for name, said in snapshot.refused.items():
        parts += [Text(), Text(f"{name} refused its state: {said}", style="bold red")]
    label = Text(" SIMULATED exchanges ", style="black on yellow") if snapshot.simulated else Text(" LIVE ")
    footer = Text(f"candles: {example}", style="dim")
    return Panel(Group(*parts, Text(), footer), title=Text("K2 stream ") + label, title_align="left")


def _feeds(snapshot: Snapshot) -> Table:
    table = _table("exchange", "feed", "per s", "trades", "lag", "delay", "dead", "recon", "last price")
    lags = snapshot.lag.get(Role.NORMALIZE.group, {})
    for name in topics.EXCHANGES:
        table.add_row(
            name,
            _feed(snapshot.now, name),
            f"{snapshot.rate('k2_raw_trades_total', exchange=name):,.0f}",
            f"{snapshot.now.get('k2_raw_trades_total', exchange=name):,.0f}",
            f"{lags.get(topics.raw(name), 0):,}",
            f"{snapshot.now.get('k2_event_lag_seconds', exchange=name) * _MS:,.0f} ms",
            _warn(snapshot.now.get("k2_rejected_total", exchange=name)),
            _warn(snapshot.now.get("k2_reconnects_total", exchange=name)),
            _price(snapshot, name),
        )
    return table


def _feed(now: Samples, exchange: str) -> Text:
    """Whether the feed is up, or how many of its symbols are subscribed."""
    if now.get("k2_connected", exchange=exchange) > 0:
        return Text("up", style="green")
    confirmed = [
        value
        for labels, value in now.values.get("k2_subscription", {}).items()
        if dict(labels).items() >= {"exchange": exchange, "state": "confirmed"}.items()
    ]
    if not any(confirmed):
        return Text("down", style="bold red")
    return Text(f"{sum(confirmed):.0f} of {len(confirmed)}", style="bold yellow")


def _table(first: str, *headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _price(snapshot: Snapshot, exchange: str) -> str:
    prices = {
        dict(labels)["symbol"]: value
        for labels, value in snapshot.now.values.get("k2_last_price", {}).items()
        if dict(labels)["exchange"] == exchange
    }
    for symbol, price in sorted(prices.items(), key=lambda item: item[0][:3] not in ("BTC", "XBT")):
        return f"{symbol} {Decimal(repr(price)):,f}"
    return "-"


def _warn(count: float) -> Text:
    return Text(f"{count:,.0f}", style="yellow" if count else "dim")


def _layers(snapshot: Snapshot) -> Table:
    table = _table("layer", "rows", "rows/s", "lag", "p50", "p99", "errors")
    hot, cold = snapshot.lag.get(Role.HOT.group, {}), snapshot.lag.get(Role.COLD.group, {})
    now = snapshot.now
    table.add_row("raw topics", *_counter(snapshot, "k2_raw_trades_total"), "", "", "", "")
    errors = _warn(now.get("k2_rejected_total", stage="normalize"))
    lag = str(sum(snapshot.lag.get(Role.NORMALIZE.group, {}).values()))
    table.add_row(
        "normalized topic",
        *_counter(snapshot, "k2_normalized_trades_total"),
        lag,
        *_latency(now, "normalized"),
        errors,
    )
    lag = str(sum(snapshot.lag.get(Role.CANDLES.group, {}).values()))
    late = _warn(now.get("k2_late_trades_total"))
    table.add_row(
        "candle tables", *_counter(snapshot, "k2_candle_updates_total"), lag, *_latency(now, "candle"), late
    )
    for tier, lags in (("ClickHouse", hot), ("Iceberg", cold)):
        for layer in ("bronze", "silver", "gold"):
            tables = [table for table in TABLES.values() if table.layer == layer]
            names = {table.hot if lags is hot else table.cold for table in tables}
            rows = _sink_rows(now, names)
            per_second = max(rows - _sink_rows(snapshot.before, names), 0) / max(snapshot.seconds, 1e-9)
            waiting = sum(lags.get(table.topic, 0) for table in tables)
            timing = _latency(now, layer) if lags is hot and layer != "bronze" else ("", "")
            failed = _warn(_sink_rows(now, names, "k2_sink_errors_total"))
            table.add_row(
                f"{tier} {layer}", f"{rows:,.0f}", f"{per_second:,.0f}", f"{waiting:,}", *timing, failed
            )
    memory = sum(snapshot.memory.values()) / _MB
    table.caption = f"{memory:,.0f} MB in {len(snapshot.memory)} processes" if snapshot.memory else None
    table.caption_justify = "left"
    return table


def _counter(snapshot: Snapshot, name: str) -> tuple[str, str]:
    return f"{snapshot.now.get(name):,.0f}", f"{snapshot.rate(name):,.0f}"


def _sink_rows(samples: Samples, tables: Set[str], metric: str = "k2_sink_rows_total") -> float:
    return sum(rows for table, rows in samples.by(metric, "table").items() if table in tables)


def _latency(samples: Samples, to: str) -> tuple[str, str]:
    shown = []
    for share in (0.5, 0.99):
        seconds = samples.quantile(LATENCY, share, to=to)
        shown.append("" if seconds is None else f"{seconds * _MS:,.0f} ms")
    return shown[0], shown[1]
