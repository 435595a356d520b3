"""The tracer of a worker, as its settings say."""

from __future__ import annotations

from k2stream.tracing.spans import Tracer


def tracer(role: str, one_in: int, url: str) -> Tracer | None:
    """The tracer of a worker, which sends its spans to the collector at `url`; None when nothing is traced.

    Raises MissingLibrary without OpenTelemetry.
    """
    if not one_in:
        return None
    from k2stream.tracing.otlp import exporter

    return Tracer(one_in, exporter(role, url))
