"""A trade of an exchange whose name makes no folder."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from k2stream import faults, topics
from k2stream.avro import registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.delivery.buffer import columns_of
from k2stream.delivery.progress import Piece, SinkBatch, SourcePartition
from k2stream.iceberg import tables
from k2stream.iceberg.destination import Iceberg
from k2stream.settings import IcebergSettings

NOW = 1_767_225_600_000_000
SILVER = tables.TABLES["cold.silver_trades"].route


def record(offset, exchange):
    one = (10**18).to_bytes(16, "big")
    numbers = {"timestamp": NOW, "receive_time": NOW, "process_time": NOW, "price": one, "quantity": one}
    places = {"raw_offset": offset, "sequence": 1, "raw_partition": 0, "trade_count": 1, "side": "BUY"}
    names = {"exchange": exchange, "symbol": "XBT/USD", "canonical_symbol": "BTC/USD", "trade_id": "1"}
    rest = {"vendor_data": {}, "trade_conditions": [], "validation_errors": []}
    return wire.write(numbers | places | names | rest, "trade", 7)


async def acknowledge() -> None:
    """Nobody waits for it."""


@pytest.mark.parametrize(
    ("long", "rows"), [("x" * 300, 2), ("é" * 33, 2), ("é" * 32, 3)], ids=["300", "66", "64"]
)
def test_it_costs_itself_alone(tmp_path, long, rows):
    """The sink took it for a warehouse that was away, and wrote nothing more."""
    registry.learn(7, wire.declared("trade"))
    values = [record(0, "kraken"), record(1, long), record(2, "kraken")]
    offsets = np.arange(len(values))
    batch = RecordBatch(TP(topics.NORMALIZED, 0), offsets, offsets, [b"kraken:BTC/USD"] * 3, list(values))
    _, read, causes = faults.read(batch, partial(columns_of, SILVER))
    sink = Iceberg(IcebergSettings(data_dir=str(tmp_path)))
    sink.prepare([SILVER])
    piece: Piece[Any, Any] = Piece(
        SourcePartition(topics.NORMALIZED, 0), 0, 2, {}, read, len(read), acknowledge
    )
    assert sink.write(SILVER, SinkBatch((piece,))) == rows == 3 - len(causes)
