"""Registration is tried again until it succeeds; a refusal is told in one line."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from k2stream.avro import registry, wire
from k2stream.model.errors import ConfigError, RegistryUnavailable, UnknownSchema
from k2stream.settings import RegistryAddress


class Server(ThreadingHTTPServer):
    """Remembers requests; answers with `failures` first."""

    def __init__(self, port, failures, refuse):
        super().__init__(("127.0.0.1", port), Answers)
        self.requests, self.failures, self.refuse = [], list(failures), refuse


class Answers(BaseHTTPRequestHandler):
    """Confluent's API for one subject: `server.failures` first, then success unless `server.refuse`."""

    server: Server

    def answer(self):
        self.server.requests.append((self.command, self.path))
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        code, body = 200, {"id": 12, "version": 1, "subject": "t-value", "schema": json.dumps("string")}
        if self.server.failures:
            code, body = self.server.failures.pop(0), {"message": "not now"}
        elif self.path == "/subjects/t-value" or self.path == "/schemas/ids/404":
            code, body = 404, {"message": "not found"}
        elif self.server.refuse and self.path.endswith("/versions"):
            code, body = 409, {"message": "field 'x' has no default"}
        elif self.path.startswith("/schemas/ids/"):
            body = {"schema": json.dumps(wire.declared("trade"))}
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@contextmanager
def serving(port=0, failures=(), refuse=False):
    server = Server(port, failures, refuse)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def url(port):
    return RegistryAddress(f"http://127.0.0.1:{port}")


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    monkeypatch.setattr(registry, "FIRST_RETRY_SECONDS", 0.02)


async def test_a_late_registry_is_waited_for(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    warned = asyncio.Event()
    monkeypatch.setattr(registry.logger, "warning", lambda *_: warned.set())
    waiting = asyncio.create_task(registry.register("t", "trade", url(port)))
    await asyncio.wait_for(warned.wait(), 60)
    with serving(port) as server:
        assert await asyncio.wait_for(waiting, 60) == 12
    assert ("PUT", "/config/t-value") in server.requests
    assert registry.layout(12) == wire.layout(wire.declared("trade"))


async def test_failures_of_the_registry_are_tried_again():
    with serving(failures=[500, 503, 429]) as server:
        assert await registry.register("t", "trade", url(server.server_port)) == 12
    assert not server.failures


async def test_a_refused_schema_is_one_readable_line():
    with serving(refuse=True) as server, pytest.raises(ConfigError) as refused:
        await registry.register("t", "trade", url(server.server_port))
    text = str(refused.value)
    assert "\n" not in text
    for part in ("schemas/avro/trade.avsc", "t-value", "BACKWARD", "field 'x' has no default"):
        assert part in text


def test_a_foreign_id_is_asked_for_once(monkeypatch):
    with serving() as server:
        first = registry.writer_schema(990_001, url(server.server_port))
        assert registry.writer_schema(990_001, url(server.server_port)) is first
        assert len(server.requests) == 1
        with pytest.raises(UnknownSchema, match="has no schema 404"):
            registry.writer_schema(404, url(server.server_port))
    with pytest.raises(RegistryUnavailable, match=r"990002 cannot be read from registry.*: start it"):
        registry.writer_schema(990_002, url(server.server_port))
