"""What the service's routes say of the platform now, and the rows that `k2 top` makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from k2stream.model.duration import duration
from k2stream.model.precision import grouped, padded

ROUTES = ("symbols", "exchanges", "status")
SECONDS = 5.0

SYMBOLS = ("exchange", "symbol", "last price", "change %", "over", "per s", "spread bp", "feed")
PIPELINE = ("step", "per s", "lag", "p50 ms", "p99 ms", "behind", "errors")
EXCHANGES = ("exchange", "feed", "symbols", "per s", "delay ms", "lost", "gaps", "to fetch", "rejected")

Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Screen:
    """The answers of /v1/symbols, /v1/exchanges and /v1/status at one moment."""

    symbols: Mapping[str, Any]
    exchanges: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def simulated(self) -> bool:
        """Whether the feeds are simulated."""
        return bool(self.symbols["simulated"])


async def read(client: httpx.AsyncClient) -> Screen:
    """Ask the service. Raises httpx.HTTPError or ValueError where an answer is missing or is no JSON."""
    answers = await asyncio.gather(*(client.get(f"/v1/{route}") for route in ROUTES))
    return Screen(*(answer.raise_for_status().json() for answer in answers))


def symbol_rows(overview: Screen) -> Rows:
    """A row per symbol, with the price in its own precision."""
    return [
        (
            item["exchange"],
            item["symbol"],
            price_text(item["last_price"], item["price_digits"]),
            item["change_percent"] or "",
            span_text(item["span_ms"]),
            f"{item['trades_per_second']:,.1f}",
            f"{Decimal(item['spread_bps']):.1f}" if item["spread_bps"] else "",
            (item["unavailable"] and "no answer") or _HEALTH[item["feed_healthy"]],
        )
        for item in overview.symbols["symbols"]
    ]


def pipeline_rows(overview: Screen) -> Rows:
    """A row per stage, then one per table of a sink."""
    stages = [
        (
            item["name"],
            f"{item['records_per_second']:,.1f}",
            _number(item["lag"]),
            _number(item["latency_p50"]),
            _number(item["latency_p99"]),
            "",
            f"{item['errors']:,}",
        )
        for item in overview.status["stages"]
    ]
    hot, cold = (
        [_sink_row(item) for item in overview.status["sinks"] if (item["commit_seconds"] is None) is hot]
        for hot in (True, False)
    )
    every = {item["commit_seconds"] for item in overview.status["sinks"]} - {None}
    said = [(f"cold, commits every {duration(max(every))}", *("" for _ in PIPELINE[1:]))] if every else []
    return [*stages, *hot, *said, *cold]


def _sink_row(item: Mapping[str, Any]) -> tuple[str, ...]:
    """How far a sink is; it is behind only where no commit is waited for."""
    behind = item["seconds_behind"] - (item["commit_seconds"] or 0)
    return (
        item["table"].replace("cold.", "  "),  # those of Iceberg stand below a row that says so
        f"{item['rows_per_second']:,.1f}",
        _number(item["lag"]),
        "",
        "",
        duration(item["seconds_behind"]) if behind > 0 else "",
        f"{item['errors']:,}",
    )


def exchange_rows(overview: Screen) -> Rows:
    """A row per exchange: its connection, and what was lost in the last 24 hours."""
    return [
        (
            item["exchange"],
            _CONNECTED[item["connected"]],
            f"{item['symbols']}",
            _number(item["trades_per_second"]),
            _number(item["event_lag_ms"]),
            f"{item['reconnects']:,}",
            f"{item['gaps']:,}",
            f"{item['open_gaps']:,}",
            _number(item["rejected"]),
        )
        for item in overview.exchanges["exchanges"]
    ]


_DAY_MS = 23 * 3_600_000
"""A day of full hours has at least so much."""

_HEALTH = {True: "healthy", False: "down", None: "unknown"}
_CONNECTED = {True: "up", False: "down", None: "unknown"}


def span_text(ms: int | None) -> str:
    """Of how long the change is: 24 hours, or less where trades began later."""
    if ms is None:
        return ""
    return "24 h" if ms >= _DAY_MS else duration(ms / 1000)


def price_text(price: str | None, digits: int) -> str:
    """A price with as many fraction digits as its symbol's prices have, none cut off."""
    return "" if price is None else grouped(padded(price, digits))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
