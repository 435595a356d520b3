"""Sends spans to an OpenTelemetry collector, from a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from k2stream import extras
from k2stream.tracing.spans import StageSpan

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
except ModuleNotFoundError as error:
    raise extras.missing("K2_TRACE_ONE_IN", error) from None

SEND_MS = 1000
"""How often spans are sent; those of a worker's last second may be lost."""

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@cache
def exporter(role: str, url: str) -> Callable[[Sequence[StageSpan]], None]:
    """Takes spans of a role for the collector at `url`; a full queue drops them, with a log line."""
    resource = Resource.create({"service.name": f"k2-{role}"})
    processor = BatchSpanProcessor(
        OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces"), schedule_delay_millis=SEND_MS
    )

    def export(spans: Sequence[StageSpan]) -> None:
        for span in spans:
            processor.on_end(_readable(span, resource))

    return export


def _readable(span: StageSpan, resource: Resource) -> ReadableSpan:
    def context(span_id: int) -> SpanContext:
        return SpanContext(span.trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)

    return ReadableSpan(
        span.stage,
        context(span.span_id),
        context(span.parent) if span.parent else None,
        resource,
        attributes={
            "k2.exchange": span.exchange,
            "k2.symbol": span.symbol,
            "k2.raw_partition": span.partition,
            "k2.raw_offset": span.offset,
        },
        kind=SpanKind.INTERNAL,
        start_time=span.start * 1000,
        end_time=span.end * 1000,
    )
