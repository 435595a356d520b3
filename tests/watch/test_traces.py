"""Traces of a running platform, at a collector that speaks OTLP."""

import asyncio

import pytest

STAGES = {"ingest", "normalize", "candles", "hot", "cold"}
SERVICES = {"k2-normalize", "k2-candles", "k2-hot", "k2-cold"}  # normalize also says how long ingest took

pytestmark = [pytest.mark.watch, pytest.mark.asyncio(loop_scope="session")]


async def test_a_trade_is_one_trace_from_the_socket_to_the_stores(platform, collector):
    """All roles agree about the sample, and normalizing begins where ingest ended."""
    traces = await complete(collector, 20)
    for trace in traces:
        assert len({tuple(span.attributes.values()) for span in trace.values()}) == 1
        assert {span.service for span in trace.values()} <= SERVICES
        assert all(span.start <= span.end for span in trace.values())
        ingest = trace["ingest"]
        assert ingest.parent == b""
        assert {span.parent for name, span in trace.items() if name != "ingest"} == {ingest.span_id}
        assert ingest.end // 10**6 == trace["normalize"].start // 10**6


async def complete(collector, count):
    """So many traces with a span of each stage, as soon as there are."""
    async with asyncio.timeout(120):
        while True:
            found = [trace for trace in collector.traces().values() if trace.keys() >= STAGES]
            if len(found) >= count:
                return found
            await asyncio.sleep(1)
