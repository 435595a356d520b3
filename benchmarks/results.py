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

_HEADINGS = (
    *("warm /s", "whole /s", "× k2", "wall s/M", "CPU s/M", "warm CPU s/M", "with start", "broker s/M"),
    *("RSS MB", "spread"),
)

_FIGURES = {
    "whole_run": "rate",
    "wall_s_per_million": "wall",
    "cpu_s_per_million": "cpu",
    "warm_cpu_s_per_million": "warm_cpu",
    "total_cpu_s_per_million": "total_cpu",
    "broker_cpu_s_per_million": "broker_cpu",
    "rss_mb": "rss_mb",
}
"""Parts of the file, and the field of Figures that each shows."""

Runs = Mapping[Kind, Mapping[str, Sequence[Figures]]]
Wrong = Mapping[Kind, Mapping[str, str]]
"""What was found of outputs that are not as they should be: these stages have no figure."""


def medians(runs: Sequence[Figures]) -> Figures:
    """Each figure's median on its own."""
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: median(getattr(run, name) for run in runs) for name in names})


def summary(runs: Runs) -> dict[str, Any]:
    """Warm rates by kind and system, and the rest beside them; chains per CPU second."""
    middle = {kind: {name: medians(taken) for name, taken in runs.get(kind, {}).items()} for kind in Kind}
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
    for name, field in _FIGURES.items():
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
        "normalise: k2 / flink": ("normalise", "k2", "flink"),
        "candles: k2 / flink, finals only": ("candles", "k2", "flink"),
        "candles: k2 / flink, revised every 0.2 s": ("candles", "k2", "flink_revisions"),
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
    for kind, peer in (
        ("normalise", "kafka_streams"), ("candles", "kafka_streams"), ("normalise", "flink"),
        ("candles", "flink"), ("candles", "flink_revisions"),
    ):  # fmt: skip
        theirs = cpu.get(kind, {}).get(peer)
        if theirs and "k2" in cpu[kind]:
            made[f"{kind}: CPU seconds k2 / {peer}"] = cpu[kind]["k2"] / theirs
    return {label: round(value, 2) for label, value in made.items()}


def show(runs: Runs, wrong: Wrong, found: Mapping[str, Any], console: Console) -> None:
    """The tables. A stage whose output is wrong is named, and has no figure."""
    for kind in dict.fromkeys([*runs, *wrong]):
        stages = runs.get(kind, {})
        table = Table(title=str(kind), title_justify="left", box=None, pad_edge=False)
        table.add_column("system")
        for heading in _HEADINGS:
            table.add_column(heading, justify="right")
        ours = medians(stages["k2"]).warm_rate if "k2" in stages else 0.0
        for name, taken in sorted(stages.items(), key=lambda item: -medians(item[1]).warm_rate):
            table.add_row(name, *_cells(taken, ours))
        for name in wrong.get(kind, {}):
            table.add_row(name, "WRONG")
        console.print(table)
        console.print()
    for stages_wrong in wrong.values():
        for name, text in stages_wrong.items():
            console.print(f"WRONG {name}: {text}", style="red", markup=False)
    for label, value in found["ratios"].items():
        console.print(f"{label}: {value:.2f} ×")
    for name, value in found["chain_per_cpu_s"].items():
        console.print(f"raw to candles, trades a CPU second, {name}: {value:,}")


def _cells(taken: Sequence[Figures], ours: float) -> list[str]:
    middle = medians(taken)
    rates = [run.warm_rate for run in taken]
    return [
        f"{middle.warm_rate:,.0f}",
        f"{middle.rate:,.0f}",
        f"{middle.warm_rate / ours:.3f}" if ours else "",
        f"{middle.wall:.2f}",
        f"{middle.cpu:.2f}",
        f"{middle.warm_cpu:.2f}",
        f"{middle.total_cpu:.2f}",
        f"{middle.broker_cpu:.2f}",
        f"{middle.rss_mb:,.0f}",
        f"{min(rates):,.0f}-{max(rates):,.0f}",
    ]


def raw_figures(runs: Runs) -> dict[str, Any]:
    """Every run, for the file."""
    return {
        str(kind): {
            name: [{key: round(value, 3) for key, value in asdict(run).items()} for run in taken]
            for name, taken in runs.get(kind, {}).items()
        }
        for kind in Kind
    }


def with_earlier(runs: Runs, wrong: Wrong, name: str) -> tuple[Runs, Wrong]:
    """These runs beside those in results/<name>.json; a stage that was wrong once has no figure."""
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    all_runs: dict[Kind, Mapping[str, Sequence[Figures]]] = {}
    all_wrong: dict[Kind, Mapping[str, str]] = {}
    for kind in Kind:
        before, now = known.get("raw", {}).get(str(kind), {}), runs.get(kind, {})
        said = all_wrong[kind] = {**known.get("wrong", {}).get(str(kind), {}), **wrong.get(kind, {})}
        all_runs[kind] = {
            stage: [*(Figures(**run) for run in before.get(stage, [])), *now.get(stage, [])]
            for stage in dict.fromkeys([*before, *now])
            if stage not in said
        }
    return all_runs, all_wrong


_BY_STAGE = {*map(str, Kind), "chain_per_cpu_s", "ratios", "wrong", "checks"}
"""Parts that a run of stages makes anew: nothing of a stage that has no figure now may stay in them."""


def keep(part: Mapping[str, Any], name: str = "latest") -> Path:
    """Write a part into results/<name>.json, beside those of other programs, and a dated copy; the path."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps(_merged(known, part), indent=1) + "\n"
    path.write_text(text)
    if name == "latest":
        (FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H%MZ}.json").write_text(text)
    return path


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of the new part replace the old ones, two levels deep where several programs write."""
    both = {
        key: {**old[key], **value}
        for key, value in new.items()
        if key not in _BY_STAGE and isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
    }
    return {**old, **new, **both}
