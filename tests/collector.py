"""A collector of OpenTelemetry traces: OTLP over HTTP, in memory."""

import gzip
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Received(NamedTuple):
    """A span as the collector got it; times in ns since 1970."""

    service: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent: bytes
    start: int
    end: int
    attributes: dict[str, Any]


class Collector:
    """Listens while it is entered; `spans` has what came."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                spans.extend(_received(ExportTraceServiceRequest.FromString(body)))
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, format: str, *args: Any) -> None:
                """No access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def traces(self) -> dict[bytes, dict[str, Received]]:
        """The spans of each trace, by their names."""
        found: defaultdict[bytes, dict[str, Received]] = defaultdict(dict)
        for span in list(self.spans):
            found[span.trace_id][span.name] = span
        return dict(found)


def _received(request: ExportTraceServiceRequest) -> list[Received]:
    return [
        Received(
            service=_values(part.resource.attributes)["service.name"],
            name=span.name,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent=span.parent_span_id,
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            attributes=_values(span.attributes),
        )
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
