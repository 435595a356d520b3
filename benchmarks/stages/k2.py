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


def main() -> None:
    threading.Thread(target=_report, args=(Counter(),), daemon=True).start()
    worker([sys.argv[1]])


def _report(counter: Counter) -> None:
    """The worker counts a trade in this histogram when it is in the candle table."""
    latency = metrics.LATENCY.labels("candle")
    while True:
        counter.value = int(next(s.value for s in latency._child_samples() if s.name == "_count"))
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    main()
