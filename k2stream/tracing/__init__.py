"""Traces of sampled trades from socket to sink: docs/decisions/007-traces-by-position.md."""

from k2stream.tracing.spans import FIRST, StageSpan, Traced, Tracer, traced
from k2stream.tracing.started import tracer

__all__ = ["FIRST", "StageSpan", "Traced", "Tracer", "traced", "tracer"]
