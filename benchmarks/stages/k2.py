"""A K2 worker as `k2 worker ROLE` runs it, and a thread that reports how far it is.

python -m benchmarks.stages.k2 candles
"""

from __future__ import annotations

import sys
import threading
import time

from benchmarks.progress import Counter
from k2stream import metrics
from k2stream.commands.worker import worker

_INTERVAL = 0.01  # seconds
_TIERS = 2  # tables that a trade is in: bronze and silver


def main() -> None:
    role = sys.argv[1]
    threading.Thread(target=_report, args=(Counter(), role), daemon=True).start()
    worker([role])


def _report(counter: Counter, role: str) -> None:
    count = _durable if role in ("hot", "cold") else _in_the_table
    while True:
        counter.value = count()
        time.sleep(_INTERVAL)


def _in_the_table() -> int:
    """The candle worker counts a trade in this histogram when it is in the candle table."""
    samples = (sample for metric in metrics.LATENCY.collect() for sample in metric.samples)
    counts = (s.value for s in samples if s.name.endswith("_count") and s.labels["to"] == "candle")
    return int(next(counts, 0))


def _durable() -> int:
    """Trades that a sink has made durable: each is a row of bronze and one of silver."""
    samples = (sample for metric in metrics.SINK_ROWS.collect() for sample in metric.samples)
    rows = sum(s.value for s in samples if s.name.endswith("_total") and "trades" in s.labels["table"])
    return int(rows) // _TIERS


if __name__ == "__main__":
    main()
