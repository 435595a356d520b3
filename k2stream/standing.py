"""Keeps the pages of a worker that refused its state available for a while before it exits."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from k2stream import metrics, peers
from k2stream.model.errors import StateRefused


def stand(app: Any, refused: StateRefused, seconds: float, key: str = "") -> None:
    """Serve `/health` (503 with the reason) and `/metrics` for some seconds before the process exits.

    Some supervisors restart a worker at once, so the reason would otherwise never be seen.
    """
    if seconds <= 0:
        return
    conf = app.conf
    metrics.REFUSED.labels(conf.id).set(1)
    known = {"app": conf.id, "status": "refused", "reason": str(refused)}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, body = 503, "application/json", json.dumps(known).encode()
            if not peers.allowed(key, self.path, self.headers.get("Authorization", "")):
                code, body = 401, b"{}"
            elif self.path == "/metrics":
                code, kind, body = 200, CONTENT_TYPE_LATEST, generate_latest()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    try:
        server = ThreadingHTTPServer((conf.web_bind, conf.web_port), Pages)
    except OSError:
        time.sleep(seconds)  # the port is taken: without pages, but no supervisor restarts it in a loop
        return
    if context := getattr(conf, "web_ssl_context", None):
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    Thread(target=server.serve_forever, daemon=True).start()
    time.sleep(seconds)
