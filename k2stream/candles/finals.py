"""Reads the final candles of a batch of a candle topic."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from k2stream import faults
from k2stream.avro import candles
from k2stream.batch import RecordBatch
from k2stream.model.candle import Candle

logger = logging.getLogger(__name__)


class FinalsReader(Protocol):
    """Takes the final candles of each batch."""

    def take(self, partition: int, finals: Sequence[Candle]) -> None:
        """Take final candles in the order of their topic; the batch is acknowledged afterwards."""


def read(batch: RecordBatch) -> list[Candle]:
    """The final candles of a batch; what is no candle is logged, and a dead letter of the sinks.

    Raises the same errors as `faults.read`.
    """
    _, decoded, causes = faults.read(batch, lambda part: candles.decode(part.values))
    for row, cause in causes.items():
        where = f"{batch.tp.topic}[{batch.tp.partition}] offset {batch.offsets[row]}"
        logger.error("%s is no candle: %s", where, cause)
    return [candle for candle in decoded if candle.final]
