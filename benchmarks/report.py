"""docs/performance.md and its plot, from results/latest.json.

python -m benchmarks.report
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER
from benchmarks.slopes import Trend

DOCS = Path(__file__).parent.parent / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"

_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH, _LABELS, _ROW, _TOP = 760, 190, 22, 34
_OURS, _THEIRS = "#2f7d4f", "#9aa5b1"

_SECONDS = ("wall_s_per_million", "cpu_s_per_million", "warm_cpu_s_per_million", "total_cpu_s_per_million")
_HEADS = (
    *("", "warm, trades/s", "whole run", "× k2", "wall s/M", "CPU s/M", "warm CPU s/M", "with start"),
    "RSS MB",
)

Latest = Mapping[str, Any]


def main() -> None:
    """Fill the page's blocks and draw the plot."""
    latest = json.loads((FOLDER / "latest.json").read_text())
    PAGE.write_text(filled(PAGE.read_text(), latest))
    PLOT.write_text(plot(latest))


def filled(page: str, latest: Latest) -> str:
    """The page with every block recreated; KeyError for a block of no such name."""
    return _BLOCK.sub(lambda block: f"{block[1]}{_figures(_TABLES[block[2]], latest)}\n{block[3]}", page)


def _figures(table: Callable[[Latest], str], latest: Latest) -> str:
    try:
        return table(latest)
    except KeyError:
        return "Not measured yet."


def _stages(kind: str) -> Callable[[Latest], str]:
    def made(latest: Latest) -> str:
        rates = {name: rate for name, rate in latest[kind].items() if name in latest["whole_run"][kind]}
        rows = [
            [
                f"**{name}**" if name == "k2" else name,
                f"{rate:,}",
                f"{latest['whole_run'][kind][name]:,.0f}",
                f"{rate / rates['k2']:.2f}",
                *(f"{latest[part][kind][name]:.2f}" for part in _SECONDS),
                f"{latest['rss_mb'][kind][name]:,.0f}",
            ]
            for name, rate in sorted(rates.items(), key=lambda item: -item[1])
        ]
        wrong = latest.get("wrong", {}).get(kind, {})
        return _table(_HEADS, [*rows, *([name, "WRONG", *[""] * (len(_HEADS) - 2)] for name in wrong)])

    return made


def _ratios(latest: Latest) -> str:
    return _table(("ratio", "×"), ((name, f"{value:.2f}") for name, value in latest["ratios"].items()))


def _chains(latest: Latest) -> str:
    rows = ((name, f"{value:,}") for name, value in latest["chain_per_cpu_s"].items())
    return _table(("raw to 1m candles", "trades a CPU second"), rows)


def _latency(latest: Latest) -> str:
    rows = (
        (
            f"{int(rate):,}",
            f"socket to {hop}",
            *(f"{quantiles[name]:,.0f}" for name in ("p50", "p99", "p99.9")),
        )
        for rate, hops in latest["latency_ms"].items()
        for hop, quantiles in hops.items()
        if quantiles
    )
    return _table(("trades/s", "", "p50 ms", "p99 ms", "p99.9 ms"), rows)


def _processes(latest: Latest) -> str:
    rates = latest["platform"]
    names = list(dict.fromkeys(name for measured in rates.values() for name in measured["rss_mb"]))
    rows = (
        (name, *(f"{measured[figure].get(name, 0):,.0f}" for measured in rates.values()
                 for figure in ("rss_mb", "cpu_percent")))
        for name in names
    )  # fmt: skip
    heads = (f"{figure} at {int(rate):,}/s" for rate in rates for figure in ("RSS MB", "CPU %"))
    return _table(("process", *heads), rows)


def _growth(latest: Latest) -> str:
    rows = (
        (f"{int(count):,} {what}", f"{rates['normalise']:,}", f"{rates['candles']:,}")
        for what, counts in latest["growth"].items()
        for count, rates in counts.items()
    )
    return _table(("", "normalise, trades/s", "candles, trades/s"), rows)


def _recovery(latest: Latest) -> str:
    found = latest["recovery"]
    return _table(("recovery of ohlcv_1m", ""), ((name, f"{value:,}") for name, value in found.items()))


def _burn_in(latest: Latest) -> str:
    found = latest["burn_in"]
    heads = ("", "figure", "mean", "per hour", "% per hour")
    rows = (
        (name, figure, f"{mean:,.1f}", f"{change:+,.2f}", f"{Trend(mean, change).percent_per_hour:+.1f}")
        for name, figures in found["slopes"].items()
        for figure, (mean, change) in figures.items()
    )
    return _table(heads, rows)


def _checks(latest: Latest) -> str:
    by_text: dict[str, list[str]] = {}
    for stage, held_to in latest["checks"].items():
        by_text.setdefault(held_to, []).append(stage)
    return _table(("stages", "held to"), ((", ".join(names), text) for text, names in by_text.items()))


def _machine(latest: Latest) -> str:
    about = {"runs of each stage, at least": latest["runs"]} | latest["machine"] | latest["versions"]
    return _table(("measured on", ""), ((name, str(value)) for name, value in about.items()))


_TABLES: dict[str, Callable[[Latest], str]] = {
    "normalise": _stages("normalise"),
    "candles": _stages("candles"),
    "ratios": _ratios,
    "chains": _chains,
    "latency": _latency,
    "processes": _processes,
    "growth": _growth,
    "recovery": _recovery,
    "burn_in": _burn_in,
    "machine": _machine,
    "checks": _checks,
}


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, marks, *rows))


def plot(latest: Latest) -> str:
    """Bars of the warm rates, as SVG."""
    parts: list[str] = []
    at = 0
    for kind, title in (
        ("normalise", "normalise"),
        ("candles", "candles (k2, flink and _six: six timeframes, others 1m)"),
    ):
        rates = sorted(latest.get("whole_run", {}).get(kind, ()), key=lambda name: -latest[kind][name])
        if not rates:
            continue
        most = latest[kind][rates[0]]
        parts.append(f'<text x="8" y="{at + 20}" font-weight="bold">{escape(title)}, trades/s</text>')
        at += _TOP
        for name in rates:
            rate = latest[kind][name]
            width = max(1, round((_WIDTH - _LABELS - 90) * rate / most))
            color = _OURS if name == "k2" else _THEIRS
            parts.append(
                f'<text x="{_LABELS - 8}" y="{at + 15}" text-anchor="end">{escape(name)}</text>'
                f'<rect x="{_LABELS}" y="{at + 3}" width="{width}" height="{_ROW - 6}" fill="{color}"/>'
                f'<text x="{_LABELS + width + 6}" y="{at + 15}">{rate:,}</text>'
            )
            at += _ROW
        at += 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{at}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
