"""What a certifier does with trades that cannot be read."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.certificates.worker import Certifier

NOW = 1_767_225_600_000_000


def record(offset):
    one = (10**18).to_bytes(16, "big")
    numbers = {"timestamp": NOW, "receive_time": NOW, "process_time": NOW, "price": one, "quantity": one}
    places = {"raw_offset": offset, "sequence": 1, "raw_partition": 0, "trade_count": 1, "side": "BUY"}
    names = {"exchange": "kraken", "symbol": "XBT/USD", "canonical_symbol": "BTC/USD", "trade_id": "1"}
    rest = {"vendor_data": {}, "trade_conditions": [f"c{offset}"], "validation_errors": []}
    return wire.write(numbers | places | names | rest, "trade", 7)


@pytest.mark.parametrize(
    "bad", [b"x", record(1)[:-3], record(1)[:-20] + b"\xff" * 20], ids=["no record", "cut", "no text"]
)
def test_a_trade_that_cannot_be_read_costs_itself_alone(bad):
    """Where only its strings could not be, it ended the worker, again at each start."""
    registry.learn(7, wire.declared("trade"))
    taken: list[Any] = []
    unused: Any = None
    held: Any = SimpleNamespace(apply=lambda trades, conditions, counted: taken.append((trades, conditions)))
    certifier = Certifier(lambda number: held, unused, unused, unused)
    certifier.recover([0])
    values = [record(0), bad, record(2)]
    certifier.take_trades(
        RecordBatch(TP(topics.NORMALIZED, 0), np.arange(3), np.arange(3), [b"kraken:BTC/USD"] * 3, values)
    )
    ((trades, conditions),) = taken
    assert (trades.raw_offset.tolist(), conditions) == ([0, 2], [["c0"], ["c2"]])
    certifier.take_trades(
        RecordBatch(TP(topics.NORMALIZED, 0), np.arange(3, 4), np.arange(1), [b"k"], [b"x"])
    )
    assert len(taken) == 1
