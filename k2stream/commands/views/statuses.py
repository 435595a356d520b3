"""What the running platform does at a moment, as values."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from k2stream import topics
from k2stream.layers.table import TABLES
from k2stream.model.precision import padded
from k2stream.model.roles import Role
from k2stream.platform.scrape import Samples
from k2stream.platform.snapshot import Snapshot

_MS = 1_000


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """One feed; `confirmed` of `symbols` are subscribed, `delay_ms` is receive time minus trade time."""

    exchange: str
    up: bool
    confirmed: int
    symbols: int
    trades_per_second: float
    trades: int
    lag: int
    delay_ms: float
    dead_letters: int
    reconnects: int
    last_symbol: str | None
    last_price: str | None


@dataclass(frozen=True, slots=True)
class LayerStatus:
    """One layer; latencies are of the last minute, and None where they are not measured or nothing came."""

    layer: str
    rows: int
    rows_per_second: float
    lag: int | None
    p50_ms: float | None
    p99_ms: float | None
    errors: int | None
    commit_seconds: float | None = None
    """How long rows wait for a commit at most: a lag until then is no fault."""


def snapshot_value(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON."""
    return {
        "simulated": snapshot.simulated,
        "exchanges": [asdict(exchange_status(snapshot, name)) for name in topics.EXCHANGES],
        "layers": [asdict(layer) for layer in layer_statuses(snapshot)],
        "memory_bytes": dict(snapshot.memory),
        "no_answer": silent(snapshot),
        "refused": dict(snapshot.refused),
    }


def silent(snapshot: Snapshot) -> list[str]:
    """Workers that did not answer and have not refused their state."""
    return [name for name in snapshot.now.silent if name not in snapshot.refused]


def exchange_status(snapshot: Snapshot, name: str) -> ExchangeStatus:
    """The status of an exchange's feed."""
    now = snapshot.now
    confirmed = [
        value
        for labels, value in now.values.get("k2_subscription", {}).items()
        if dict(labels).items() >= {"exchange": name, "state": "confirmed"}.items()
    ]
    symbol, price = last_price(now, name)
    return ExchangeStatus(
        exchange=name,
        up=now.get("k2_connected", exchange=name) > 0,
        confirmed=int(sum(confirmed)),
        symbols=len(confirmed),
        trades_per_second=snapshot.rate("k2_raw_trades_total", exchange=name),
        trades=int(now.get("k2_raw_trades_total", exchange=name)),
        lag=snapshot.lag.get(Role.NORMALIZE.group, {}).get(topics.raw(name), 0),
        delay_ms=now.get("k2_event_lag_seconds", exchange=name) * _MS,
        dead_letters=int(now.get("k2_rejected_total", exchange=name)),
        reconnects=int(now.get("k2_reconnects_total", exchange=name)),
        last_symbol=symbol,
        last_price=price,
    )


def last_price(now: Samples, exchange: str) -> tuple[str | None, str | None]:
    """A symbol of the exchange, bitcoin if it has it, and its last price with the digits of its prices."""
    prices = {
        dict(labels)["symbol"]: value
        for labels, value in now.values.get("k2_last_price", {}).items()
        if dict(labels)["exchange"] == exchange
    }
    for symbol, price in sorted(prices.items(), key=lambda item: item[0][:3] not in ("BTC", "XBT")):
        digits = int(now.get("k2_price_digits", exchange=exchange, symbol=symbol))
        return symbol, padded(f"{Decimal(repr(price)):f}", digits)
    return None, None


def layer_statuses(snapshot: Snapshot) -> list[LayerStatus]:
    """The status of each layer, in the order in which a trade passes through them."""
    now, lag = snapshot.now, snapshot.lag
    found = [
        _counted(snapshot, "raw topics", "k2_raw_trades_total"),
        _counted(
            snapshot,
            "normalized topic",
            "k2_normalized_trades_total",
            lag=sum(lag.get(Role.NORMALIZE.group, {}).values()),
            to="normalized",
            errors=int(now.get("k2_rejected_total", stage="normalize")),
        ),
        _counted(
            snapshot,
            "candle tables",
            "k2_candle_updates_total",
            lag=sum(lag.get(Role.CANDLES.group, {}).values()),
            to="candle",
            errors=int(now.get("k2_late_trades_total")),
        ),
    ]
    for tier, role in (("ClickHouse", Role.HOT), ("Iceberg", Role.COLD)):
        for layer in ("bronze", "silver", "gold"):
            found.append(_stored(snapshot, tier, role, layer))
    return found


def _counted(
    snapshot: Snapshot, layer: str, name: str, lag: int | None = None, to: str = "", errors: int | None = None
) -> LayerStatus:
    timing = latencies_ms(snapshot, to) if to else (None, None)
    return LayerStatus(layer, int(snapshot.now.get(name)), snapshot.rate(name), lag, *timing, errors)


def _stored(snapshot: Snapshot, tier: str, role: Role, layer: str) -> LayerStatus:
    hot = role is Role.HOT
    tables = [table for table in TABLES.values() if table.layer == layer]
    names = {table.hot if hot else table.cold for table in tables}
    lags = snapshot.lag.get(role.group, {})
    rows = _sink_rows(snapshot.now, names)
    return LayerStatus(
        f"{tier} {layer}",
        int(rows),
        max(rows - _sink_rows(snapshot.before, names), 0) / max(snapshot.seconds, 1e-9),
        sum(lags.get(table.topic, 0) for table in tables),
        *(latencies_ms(snapshot, layer) if hot and layer != "bronze" else (None, None)),
        int(_sink_rows(snapshot.now, names, "k2_sink_errors_total")),
        None if hot else snapshot.commit_seconds,
    )


def _sink_rows(samples: Samples, tables: Set[str], metric: str = "k2_sink_rows_total") -> float:
    return sum(rows for table, rows in samples.by(metric, "table").items() if table in tables)


def latencies_ms(snapshot: Snapshot, to: str) -> tuple[float | None, float | None]:
    """p50 and p99 of the last minute, in ms."""
    p50, p99 = (snapshot.latency(to, share) for share in (0.5, 0.99))
    return None if p50 is None else p50 * _MS, None if p99 is None else p99 * _MS
