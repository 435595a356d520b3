"""Spans on the wire, at a collector that speaks OTLP."""

import time

import numpy as np

from k2stream.tracing import FIRST, traced, tracer
from k2stream.tracing.ids import seed, span_id, trace_ids
from tests.collector import Collector

BEGUN = 1_700_000_000_000_000


def test_the_collector_gets_each_span_once_with_its_place():
    with Collector() as collector:
        made = tracer("test", 1, f"{collector.url}/")
        assert made is not None
        trades = traced([b"kraken:BTC/USD"] * 3, 2, np.arange(7, 10))
        begun = np.arange(3) + BEGUN
        made.passed(FIRST, trades, begun, begun + 40)
        made.passed("normalize", trades, begun + 40, begun + 90)
        deadline = time.monotonic() + 60
        while len(collector.spans) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        spans = sorted(collector.spans, key=lambda span: (span.attributes["k2.raw_offset"], span.start))
    assert [span.name for span in spans] == [FIRST, "normalize"] * 3
    assert {span.service for span in spans} == {"k2-test"}
    high, low = (
        part.tolist()
        for part in trace_ids(np.full(3, seed("kraken"), np.uint64), trades.partition, trades.offset)
    )
    for number in range(3):
        first, second = spans[2 * number : 2 * number + 2]
        ids = high[number], low[number]
        assert first.trace_id == second.trace_id == (ids[0] << 64 | ids[1]).to_bytes(16, "big")
        assert first.span_id == second.parent == span_id(*ids, FIRST).to_bytes(8, "big")
        assert first.parent == b""
        assert (first.start, first.end) == ((BEGUN + number) * 1000, (BEGUN + number + 40) * 1000)
        assert second.attributes == {
            "k2.exchange": "kraken",
            "k2.symbol": "BTC/USD",
            "k2.raw_partition": 2,
            "k2.raw_offset": 7 + number,
        }
