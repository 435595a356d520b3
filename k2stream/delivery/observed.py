"""What is measured of rows once they are durable: their latency, and the spans of those that are traced."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from k2stream import metrics
from k2stream.delivery.buffer import Rows
from k2stream.delivery.route import Route
from k2stream.model import clock
from k2stream.tracing import Tracer


def observe(route: Route, batch: Rows, tracer: Tracer | None) -> None:
    """Measure a batch that the destination has."""
    now = clock.now_us()
    pieces = [piece.rows for piece in batch.pieces]
    if route.latency:
        since = np.concatenate([_micros(rows, route.since) for rows in pieces])
        metrics.observe_latency(route.latency, (now - since) / 1_000_000)
    if route.traced is not None and tracer is not None:
        for rows in pieces:
            tracer.passed(route.tier, route.traced(rows), _micros(rows, "process_time"), now)


def _micros(rows: pa.Table, column: str) -> NDArray[np.int64]:
    times: NDArray[np.int64] = rows[column].cast(pa.int64()).to_numpy()
    return times
