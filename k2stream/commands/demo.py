"""`k2 demo`: runs for a while, stops the feeds, drains, verifies and reports."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.commands import options
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed_to, save
from k2stream.commands.views.verify import report_shown, report_value
from k2stream.embedded import room
from k2stream.kafka.lag import LagReader
from k2stream.model.errors import ConfigError, StateRefused
from k2stream.model.kline_checks import Agreement
from k2stream.platform import running
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.scrape import Samples, scrape
from k2stream.reconcile.oracle.run import Report
from k2stream.reconcile.oracle.run import verify as run_verify
from k2stream.settings import current, replace

_DRAIN_WITHIN = 120.0
_WARM_UP = 15.0
_MB = 1 << 20
_HOPS = {
    "normalized": "socket → normalized topic",
    "candle": "socket → candle table",
    "silver": "socket → ClickHouse silver",
    "gold": "socket → ClickHouse gold",
}


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """The results of a demo."""

    report: Report
    samples: Samples
    warm: Samples  # growth after the warm-up, in which the workers start and catch up
    memory: dict[str, int]
    seconds: float
    rate: int

    @property
    def errors(self) -> dict[str, int]:
        """Error counters by label."""
        names = {"sink errors": "k2_sink_errors_total", "exchange errors": "k2_exchange_errors_total"}
        names |= {"reconnects": "k2_reconnects_total", "rejected": "k2_rejected_total"}
        return {label: int(self.samples.get(name)) for label, name in names.items()}

    @property
    def agreement(self) -> dict[str, int]:
        """How many final candles were compared with the exchanges' klines, by what was found."""
        return {
            name: int(count) for name, count in self.samples.by("k2_kline_checks_total", "status").items()
        }

    @property
    def latency_ms(self) -> dict[str, dict[str, float]]:
        """p50 and p99 per hop, in ms."""
        found: dict[str, dict[str, float]] = {}
        for hop in _HOPS:
            p50, p99 = (self.warm.quantile("k2_latency_seconds", share, to=hop) for share in (0.5, 0.99))
            if p50 is not None and p99 is not None:
                found[hop] = {"p50": round(p50 * 1000, 1), "p99": round(p99 * 1000, 1)}
        return found

    @property
    def ok(self) -> bool:
        """Whether nothing differs, and there was something to compare."""
        trades = sum(counts["normalized"] for counts in self.report.counts.values())
        return not self.report.differences and trades > 0 and self.report.candles > 0

    def as_json(self) -> dict[str, Any]:
        """The results as a JSON object."""
        return {
            **report_value(self.report),
            "ok": self.ok,
            "simulated": True,
            "seconds": self.seconds,
            "rate": self.rate,
            "errors": self.errors,
            "agreement": self.agreement,
            "latency_ms": self.latency_ms,
            "memory_mb": {name: round(used / _MB, 1) for name, used in self.memory.items()},
        }


@click.command()
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=options.Number(min=0, min_open=True),
    help="How long the feeds run.",
)
@options.simulation
@options.secure
@click.option("--keep", is_flag=True, help="Run on K2_DATA_DIR and keep its data; otherwise a fresh folder.")
@printed_to
def demo(
    seconds: float, rate: int, seed: int, secure: bool, keep: bool, *, file: Path | None, out: Printer
) -> None:
    """Run everything on SIMULATED feeds for a while, then recompute and compare every layer.

    Exits 0 only when nothing differs.
    """
    settings = current()
    options.listed(settings.feeds)
    with ExitStack() as stack:
        if not keep:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="k2-demo-", ignore_cleanup_errors=True)
            )
            settings = replace(settings, data_dir=folder)
        running.refuse_another(settings)
        room.check(settings.local.data_path, room.free_bytes(settings.local.data_path), out.note)
        platform = Platform(settings, Simulation(rate, seed), out.note, secure=secure)
        outcome = asyncio.run(_demo(platform, seconds, rate, out.note))
    if file:
        save(file, outcome.as_json())
    out.show(outcome.as_json(), _shown(outcome))
    if not outcome.ok:
        raise SystemExit(FAILED)


async def _demo(platform: Platform, seconds: float, rate: int, say: Callable[[str], None]) -> DemoOutcome:
    async with platform:
        say(f"running for {seconds:g} s at {rate} trades/s")
        await _run_for(platform, min(seconds / 3, _WARM_UP))
        cold = await scrape(platform.urls, platform.settings.worker)
        await _run_for(platform, seconds - min(seconds / 3, _WARM_UP))
        memory = platform.memory()
        say("stopping the feeds and draining")
        await platform.stop_feeds()
        await drain(platform)
        samples = await scrape(platform.urls, platform.settings.worker)
        report = await run_verify(platform.settings, platform.urls["candles"], say)
        say("stopping")
    return DemoOutcome(report, samples, samples.since(cold), memory, seconds, rate)


async def _run_for(platform: Platform, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 1.0))
        await platform.heal()


async def drain(platform: Platform) -> None:
    """Wait until every layer has processed all records.

    Raises ConfigError after a timeout, and StateRefused when a worker has refused its state.
    """
    async with LagReader(platform.settings) as lags:
        deadline = time.monotonic() + _DRAIN_WITHIN
        at_rest = False
        while True:
            await platform.heal()
            if platform.refused:
                raise StateRefused("; ".join(platform.refused.values()))
            async with httpx.AsyncClient(timeout=60, **platform.settings.worker.web_connection) as client:
                (await client.post(f"{platform.urls['cold']}/cold/flush")).raise_for_status()
            found = await lags.lag(lags.fillers) | await lags.lag()
            waiting = {group: sum(topics.values()) for group, topics in found.items()}
            was_at_rest, at_rest = at_rest, not any(waiting.values())
            if at_rest and was_at_rest:  # twice: a gap reported last is still being filled
                return
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"not drained within {_DRAIN_WITHIN:g} s, records waiting: {waiting}; run with --keep "
                    "and read the workers' logs in K2_DATA_DIR"
                )
            await asyncio.sleep(0.5)


def _shown(outcome: DemoOutcome) -> RenderableType:
    latency = Table(box=None, pad_edge=False)
    for heading in ("latency", "p50", "p99"):
        latency.add_column(heading, justify="left" if heading == "latency" else "right")
    for hop, values in outcome.latency_ms.items():
        latency.add_row(_HOPS[hop], f"{values['p50']:g} ms", f"{values['p99']:g} ms")
    memory = Table(box=None, pad_edge=False)
    memory.add_column("process")
    memory.add_column("memory", justify="right")
    for name, used in outcome.memory.items():
        memory.add_row(name, f"{used / _MB:,.0f} MB")
    memory.add_row("together", f"{sum(outcome.memory.values()) / _MB:,.0f} MB")
    errors = Text(", ".join(f"{count} {label}" for label, count in outcome.errors.items()))
    found = outcome.agreement
    compared = ", ".join(f"{found.get(status, 0):,} {status.replace('_', ' ')}" for status in Agreement)
    errors.append(f"\ncompared with the exchanges' klines: {compared}")
    if outcome.ok:
        said = Text.assemble(
            (f"{outcome.report.candles:,} candles, no differences", "green"), " (SIMULATED feeds)"
        )
    else:
        said = Text.assemble((f"{outcome.report.differences:,} differences", "red"), " (SIMULATED feeds)")
    gap = Text()
    return Group(gap, report_shown(outcome.report), gap, latency, gap, memory, gap, errors, said)
