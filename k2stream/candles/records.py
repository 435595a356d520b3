"""Records of the normalized topic to trades; what is none leaves the batch as a dead letter."""

from __future__ import annotations

import logging

from k2stream import clock, deadletter
from k2stream.avro.trades import decode_hot
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.trade import HotTrades

logger = logging.getLogger(__name__)


def read(batch: RecordBatch) -> tuple[RecordBatch, HotTrades, dict[int, DeadLetter]]:
    """The readable records, their trades, and a dead letter by row of `batch` for each other one.

    Raises LookupError when the registry cannot say how a record was written.
    """
    try:
        return batch, decode_hot(batch.values, batch.keys), {}
    except ValueError:
        letters = {row: letter for row in range(len(batch)) if (letter := _unreadable(batch, row))}
    good = [row for row in range(len(batch)) if row not in letters]
    keys, values = [batch.keys[row] for row in good], [batch.values[row] for row in good]
    rest = RecordBatch(batch.tp, batch.offsets[good], batch.timestamps[good], keys, values)
    return rest, decode_hot(values, keys), letters


def _unreadable(batch: RecordBatch, row: int) -> DeadLetter | None:
    """A dead letter for a record that is no canonical trade."""
    try:
        decode_hot([batch.values[row]], [batch.keys[row]])
        return None
    except ValueError as error:
        cause = str(error)
    offset = int(batch.offsets[row])
    logger.error("%s[%d] offset %d is no trade: %s", batch.tp.topic, batch.tp.partition, offset, cause)
    return DeadLetter(
        cause=cause,
        exchange=(batch.keys[row] or b"").decode(errors="replace").partition(":")[0],
        time=clock.now_us(),
        original=deadletter.original(batch.values[row] or b""),
        stage="candles",
        topic=batch.tp.topic,
        partition=batch.tp.partition,
        offset=offset,
    )
