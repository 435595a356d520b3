"""Ceiling: a loop that decodes raw records with msgspec and does nothing else."""

from __future__ import annotations

import os
import signal

import msgspec

from benchmarks.progress import Counter
from benchmarks.stages.records import fetch
from k2stream.exchanges.binance import BINANCE

_CHUNK = 2_000
_DISTINCT = 200_000


def main() -> None:
    wanted = int(os.environ["BENCH_RECORDS"])
    values = fetch(min(_DISTINCT, wanted))
    decode = msgspec.json.Decoder(BINANCE.record).decode
    counter = Counter()
    while counter.value < wanted:
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            for value in chunk:
                decode(value)
            counter.add(len(chunk))
    signal.pause()  # until the harness has read its memory


if __name__ == "__main__":
    main()
