"""Trades as columns, and stores that can lose any part of their last flush."""

import numpy as np

from k2stream.candles.codec import dumps_progress, dumps_state, loads_progress, loads_state
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import to_candle
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.trade import CandleInput, Decimals

RAW_PARTITION = 3
GRACE = 5_000_000


def columns(trades, scale=18):
    """CandleInput of reference.Trade records."""
    keys = sorted({t.key for t in trades})

    def ints(name):
        return np.array([getattr(t, name) for t in trades], np.int64)

    def decimals(name):
        mantissas = [int(getattr(t, name).scaleb(scale)) for t in trades]
        fits = all(m < 2**63 for m in mantissas)
        return Decimals(np.array(mantissas, np.int64 if fits else object), scale)

    return CandleInput(
        keys=keys,
        key=np.array([keys.index(t.key) for t in trades], np.int64),
        timestamp=ints("timestamp"),
        receive_time=ints("receive_time"),
        price=decimals("price"),
        quantity=decimals("quantity"),
        taker_buy=np.array([t.taker_buy for t in trades], bool),
        sequence=ints("sequence"),
        raw_partition=np.full(len(trades), RAW_PARTITION, np.int64),
        raw_offset=ints("raw_offset"),
        trade_count=ints("trade_count"),
        backfilled=lambda rows: np.array([trades[row].backfilled for row in rows], bool),
    )


class Store:
    """A table in memory, written behind to `durable`, which holds bytes as a changelog does."""

    def __init__(self, dumps, loads, durable=None):
        self.dumps, self.loads = dumps, loads
        self.durable = durable or {}
        self.memory = {key: loads(value) for key, value in self.durable.items()}
        self.dirty = set()

    def take(self):
        """Changelog entries since the last call; None is a tombstone."""
        entries = {k: self.dumps(self.memory[k]) if k in self.memory else None for k in self.dirty}
        self.dirty = set()
        return entries

    def write(self, entries):
        for key, value in entries.items():
            if value is None:
                self.durable.pop(key, None)
            else:
                self.durable[key] = value


class WindowStore(Store):
    def get(self, key, open_time):
        return self.memory.get((key, open_time))

    def put(self, key, open_time, state):
        self.memory[key, open_time] = state
        self.dirty.add((key, open_time))

    def delete(self, key, open_time):
        self.memory.pop((key, open_time), None)
        self.dirty.add((key, open_time))

    def windows(self):
        return [(key, open_time, state) for (key, open_time), state in self.memory.items()]


class ProgressStore(Store):
    def get(self, key):
        return self.memory.get(key)

    def put(self, key, progress):
        self.memory[key] = progress
        self.dirty.add(key)


class Worker:
    """A partition with its stores: flush as the producer does it, crash in the middle of one."""

    def __init__(self, durable=None, *, retention=1000, least=None, now=0):
        durable = durable or {}
        self.stores = {tf: WindowStore(dumps_state, loads_state, durable.get(tf)) for tf in TIMEFRAMES}
        self.progress = ProgressStore(dumps_progress, loads_progress, durable.get("progress"))
        self.partition = CandlePartition(
            self.stores,
            self.progress,
            grace=GRACE,
            idle=1_000_000,
            retention=retention,
            least=least,
            now=now,
        )
        self.published = []

    def apply(self, trades, now=0):
        changes = self.partition.apply(columns(trades), now)
        self.published += changes.updated.items()
        return changes

    def close_silent(self, now):
        updated = self.partition.close_silent(now)
        self.published += updated.items()
        return updated

    def flush(self, survives=lambda: True, progress_survives=True):
        """Windows first, then progress; False where the process dies before the entry is durable."""
        self.partition.expire()
        whole = True
        for store in self.stores.values():
            entries = store.take()
            kept = {key: value for key, value in entries.items() if survives()}
            whole = whole and kept == entries
            store.write(kept)
        if whole and progress_survives:
            self.progress.write(self.progress.take())

    def durable(self):
        return {tf: dict(s.durable) for tf, s in self.stores.items()} | {
            "progress": dict(self.progress.durable)
        }

    def candles(self, native="X"):
        return {
            (tf, key, open_time): to_candle(state, key, native, tf, open_time)
            for tf, store in self.stores.items()
            for key, open_time, state in store.windows()
        }
