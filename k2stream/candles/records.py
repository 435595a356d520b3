"""Decodes records of the normalized topic to trades; unreadable records become dead letters."""

from __future__ import annotations

import logging

from k2stream import deadletter, faults
from k2stream.avro.limits import check_ints, check_sizes, check_sums, check_times
from k2stream.avro.trades import decode_hot
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.logs import place
from k2stream.model import clock
from k2stream.model.trade import CandleInput

logger = logging.getLogger(__name__)


def read(batch: RecordBatch) -> tuple[RecordBatch, CandleInput, dict[int, DeadLetter]]:
    """Return the readable records, their trades, and a dead letter per unreadable row of `batch`.

    Raises the same errors as `faults.read`.
    """
    rest, trades, causes = faults.read(batch, decode)
    return rest, trades, {row: _letter(batch, row, cause) for row, cause in causes.items()}


def decode(batch: RecordBatch) -> CandleInput:
    """Decode the numbers of trades; `faults.read` takes what this raises."""
    trades = decode_hot(batch.values, batch.keys)
    check_sizes(batch.values, batch.keys, max((len(key.encode()) for key in trades.keys), default=0))
    check_times([trades.timestamp, trades.receive_time])
    check_ints([trades.raw_partition, trades.trade_count])
    check_sums(trades.price, trades.quantity)
    return trades


def _letter(batch: RecordBatch, row: int, cause: str) -> DeadLetter:
    where = f"{batch.tp.topic}[{batch.tp.partition}] offset {batch.offsets[row]}"
    exchange = (batch.keys[row] or b"").decode(errors="replace").partition(":")[0]
    concerned = place(batch.tp, batch.offsets[row], exchange=exchange)
    logger.error("%s is no trade: %s", where, cause, extra=concerned)
    return deadletter.of_record(batch, row, cause, exchange, stage="candles", time=clock.now_us())
