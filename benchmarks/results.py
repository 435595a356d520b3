"""From runs to medians, ratios, a table and a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figures
from benchmarks.stages.registry import Kind

FOLDER = Path(__file__).parent / "results"

_HEADINGS = ("warm /s", "whole /s", "× k2", "CPU s/M", "warm CPU s/M", "broker s/M", "RSS MB", "spread")

Runs = Mapping[Kind, Mapping[str, Sequence[Figures]]]


def medians(runs: Sequence[Figures]) -> Figures:
    """Each figure's median on its own."""
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: median(getattr(run, name) for run in runs) for name in names})


def summary(runs: Runs) -> dict[str, Any]:
    """Warm rates by kind and system, and the rest beside them; chains per CPU second."""
    middle = {kind: {name: medians(taken) for name, taken in stages.items()} for kind, stages in runs.items()}
    found: dict[str, Any] = {
        str(kind): {name: round(figures.warm_rate) for name, figures in stages.items()}
        for kind, stages in middle.items()
    }
    if "k2" in found.get("candles", {}):
        found["candles"]["k2_six"] = found["candles"]["k2"]
    if "kafka_streams" in found.get("candles", {}):
        found["candles"]["kafka_streams_1m"] = found["candles"]["kafka_streams"]
    found["chain"] = found.get("chain", {}) | _in_turn(middle)
    found["chain_per_cpu_s"] = _chains(middle)
    for name, field in (
        ("whole_run", "rate"), ("cpu_s_per_million", "cpu"), ("warm_cpu_s_per_million", "warm_cpu"),
        ("broker_cpu_s_per_million", "broker_cpu"), ("rss_mb", "rss_mb"),
    ):  # fmt: skip
        found[name] = {
            str(kind): {system: round(getattr(figures, field), 3) for system, figures in stages.items()}
            for kind, stages in middle.items()
        }
    found["ratios"] = ratios(found)
    return found


def _in_turn(middle: Mapping[Kind, Mapping[str, Figures]]) -> dict[str, int]:
    """Trades a second from raw to candles when the two stages take turns on one core."""
    normalise, candles = middle.get(Kind.NORMALISE, {}), middle.get(Kind.CANDLES, {})
    return {
        name: round(1 / (1 / normalise[name].warm_rate + 1 / candles[name].warm_rate))
        for name in normalise
        if name in candles
    }


def _chains(middle: Mapping[Kind, Mapping[str, Figures]]) -> dict[str, int]:
    """Trades a CPU second from raw to candles: two stages one after the other, or ClickHouse's chain."""
    found = {
        name: round(1e6 / figures.cpu) for name, figures in middle.get(Kind.CHAIN, {}).items() if figures.cpu
    }
    normalise, candles = middle.get(Kind.NORMALISE, {}), middle.get(Kind.CANDLES, {})
    for name in normalise.keys() & candles.keys():
        if cpu := normalise[name].cpu + candles[name].cpu:
            found[name] = round(1e6 / cpu)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """The ratios that count, where both sides were measured."""
    wanted = {
        "normalise: k2 / kafka_streams": ("normalise", "k2", "kafka_streams"),
        "candles: k2 six / kafka_streams 1m": ("candles", "k2", "kafka_streams"),
        "candles: k2 six / kafka_streams six": ("candles", "k2", "kafka_streams_six"),
        "normalise: k2 / faust": ("normalise", "k2", "faust"),
        "candles: k2 / faust": ("candles", "k2", "faust"),
        "normalise: k2 / quix": ("normalise", "k2", "quix"),
        "candles: k2 / quix": ("candles", "k2", "quix"),
        "candles: k2 / bytewax": ("candles", "k2", "bytewax"),
        "chain per CPU second: k2 / clickhouse 10k": ("chain_per_cpu_s", "k2", "clickhouse_10k"),
    }
    made = {
        label: found[kind][ours] / found[kind][theirs]
        for label, (kind, ours, theirs) in wanted.items()
        if ours in found.get(kind, {}) and theirs in found[kind]
    }
    cpu = found["cpu_s_per_million"]
    for kind in ("normalise", "candles"):
        theirs = cpu.get(kind, {}).get("kafka_streams")
        if theirs and "k2" in cpu[kind]:
            made[f"{kind}: CPU seconds k2 / kafka_streams"] = cpu[kind]["k2"] / theirs
    return {label: round(value, 2) for label, value in made.items()}


def show(runs: Runs, found: Mapping[str, Any], console: Console) -> None:
    """The tables."""
    for kind, stages in runs.items():
        table = Table(title=str(kind), title_justify="left", box=None, pad_edge=False)
        table.add_column("system")
        for heading in _HEADINGS:
            table.add_column(heading, justify="right")
        ours = medians(stages["k2"]).warm_rate if "k2" in stages else 0.0
        for name, taken in sorted(stages.items(), key=lambda item: -medians(item[1]).warm_rate):
            middle = medians(taken)
            rates = [run.warm_rate for run in taken]
            table.add_row(
                name,
                f"{middle.warm_rate:,.0f}",
                f"{middle.rate:,.0f}",
                f"{middle.warm_rate / ours:.3f}" if ours else "",
                f"{middle.cpu:.2f}",
                f"{middle.warm_cpu:.2f}",
                f"{middle.broker_cpu:.2f}",
                f"{middle.rss_mb:,.0f}",
                f"{min(rates):,.0f}-{max(rates):,.0f}",
            )
        console.print(table)
        console.print()
    for label, value in found["ratios"].items():
        console.print(f"{label}: {value:.2f} ×")
    for name, value in found["chain_per_cpu_s"].items():
        console.print(f"raw to candles, trades a CPU second, {name}: {value:,}")


def raw_figures(runs: Runs) -> dict[str, Any]:
    """Every run, for the file."""
    return {
        str(kind): {
            name: [{key: round(value, 3) for key, value in asdict(run).items()} for run in taken]
            for name, taken in stages.items()
        }
        for kind, stages in runs.items()
    }


def keep(part: Mapping[str, Any], name: str = "latest") -> Path:
    """Merge a part into results/<name>.json and keep a dated copy; the path of the former."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps(_merged(known, part), indent=1) + "\n"
    path.write_text(text)
    if name == "latest":
        (FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H%MZ}.json").write_text(text)
    return path


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return new
