"""Reads the final candles of a batch of a candle topic."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from k2stream import faults
from k2stream.avro import candles
from k2stream.batch import RecordBatch
from k2stream.logs import place
from k2stream.model.candle import Candle

logger = logging.getLogger(__name__)


class FinalCandle(NamedTuple):
    """A final candle, and when its record was published (ms since 1970)."""

    candle: Candle
    published: int


class FinalsReader(Protocol):
    """Takes the final candles of each batch."""

    async def take(self, partition: int, finals: Sequence[FinalCandle]) -> None:
        """Take final candles in the order of their topic; the batch is acknowledged afterwards."""


def read(batch: RecordBatch) -> list[FinalCandle]:
    """The final candles of a batch; what is no candle is logged, and a dead letter of the sinks.

    Raises the same errors as `faults.read`.
    """
    good, decoded, causes = faults.read(batch, lambda part: candles.decode(part.values))
    for row, cause in causes.items():
        where = f"{batch.tp.topic}[{batch.tp.partition}] offset {batch.offsets[row]}"
        logger.error("%s is no candle: %s", where, cause, extra=place(batch.tp, batch.offsets[row]))
    times = good.timestamps.tolist()
    return [FinalCandle(candle, time) for candle, time in zip(decoded, times, strict=True) if candle.final]
