"""Settings of traces of sampled trades."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from k2stream.settings.kinds import HttpUrl, Section


class TraceSettings(Section, frozen=True, kw_only=True, rename="trace_{}".format):
    """Which share of the trades is traced, and who gets their spans."""

    one_in: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0  # 1: every trade; 1000: one in a thousand; 0: none
    url: HttpUrl = "http://127.0.0.1:4318"  # of an OpenTelemetry collector, which takes OTLP over HTTP
