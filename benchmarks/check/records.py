"""Canonical records: each trade of the load once, byte for byte but for the schema id and process_time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import load
from benchmarks.check.truth import key_of
from benchmarks.check.verdict import Verdict

_HEADER = 5  # the magic byte and the schema id
_TIME = slice(21, 29)  # process_time: a zigzag varint of 8 bytes after two of the same size

Hashes = NDArray[np.int64]


class Found:
    """Records as hashes, taken in by pieces: 2M of them are 0.5 GB of bytes."""

    def __init__(self, started_us: int) -> None:
        """`started_us`: before this no record was made."""
        self._started_us = started_us
        self._hashes: list[Hashes] = []
        self._times: list[bytes] = []
        self.malformed = 0

    def add(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Take in records of the Confluent wire format."""
        good = [
            (key or b"", value)
            for key, value in zip(keys, values, strict=True)
            if value is not None and len(value) >= _TIME.stop and value[0] == 0
        ]
        self.malformed += len(values) - len(good)
        self._hashes.append(hashes(good))
        self._times.append(b"".join(value[_TIME] for _, value in good))

    def verdict(self, loaded: load.Load, ended_us: int) -> Verdict:
        """Against the load; process_time must lie within the run, which ended at `ended_us`."""
        expected, found = _expected(loaded), np.concatenate([np.empty(0, np.int64), *self._hashes])
        times = _times(b"".join(self._times))
        good = np.isin(found, expected) & (self._started_us <= times) & (times <= ended_us)
        right = len(np.unique(found[good]))
        return Verdict(
            "canonical records",
            right=right,
            wrong=int(np.count_nonzero(~good)) + self.malformed,
            missing=len(expected) - right,
            twice=int(np.count_nonzero(good)) - right,
        )


def hashes(records: Iterable[tuple[bytes, bytes]]) -> Hashes:
    """64 bits a record of key and value, without schema id and process_time."""
    return np.array(
        [hash(key + value[_HEADER : _TIME.start] + value[_TIME.stop :]) for key, value in records], np.int64
    )


@lru_cache(maxsize=8)
def _expected(loaded: load.Load) -> Hashes:
    made = [np.empty(0, np.int64)]
    for partition, trades in load.by_partition(load.generate(loaded), loaded.partitions):
        keys = [key_of(name).encode() for name in trades.names]
        for first, piece in load.cut(trades):
            values = load.canonical_values(piece, partition, first, 1)
            symbols = piece.symbol.tolist()
            made.append(hashes((keys[at], value) for at, value in zip(symbols, values, strict=True)))
    return np.unique(np.concatenate(made))


def _times(columns: bytes) -> NDArray[np.int64]:
    """Zigzag varints of 8 bytes each; positive ones."""
    digits = np.frombuffer(columns, np.uint8).reshape(-1, 8).astype(np.int64) & 0x7F
    return (digits << np.arange(0, 56, 7)).sum(axis=1) >> 1
