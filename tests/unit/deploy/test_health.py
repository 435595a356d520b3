"""The health check of the image, against a worker's port with and without TLS."""

import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from k2stream.settings.tls import server_context
from tests.deploy.composed import ROOT
from tests.tls import issued


class Worker(BaseHTTPRequestHandler):
    """Ready at /health and /stats, and recovering elsewhere."""

    def do_GET(self):
        self.send_response(200 if self.path in ("/health", "/stats") else 503)
        self.end_headers()
        self.wfile.write(b"recovering")

    def log_message(self, *_):
        pass


@contextmanager
def listening(tls=None):
    """The port of a worker."""
    server = HTTPServer(("127.0.0.1", 0), Worker)
    context = server_context(tls) if tls else None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def checked(*arguments, **environment):
    """The exit code and what is said."""
    command = [sys.executable, ROOT / "deploy" / "health.py", *arguments]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return found.returncode, found.stderr.strip()


def test_a_worker_without_tls():
    with listening() as port:
        assert checked(K2_WEB_PORT=str(port)) == (0, "")
        assert checked(str(port), "/elsewhere") == (1, "503: recovering")


def test_a_worker_with_tls(tmp_path):
    files = issued(tmp_path)
    with listening(files) as port:
        assert checked(K2_WEB_PORT=str(port), K2_WEB_TLS_CERT_FILE=files.cert_file) == (0, "")
        code, said = checked(K2_WEB_PORT=str(port))
        assert (code, said.startswith(f"no answer from port {port}: ")) == (1, True)


def test_another_port_has_no_tls():
    with listening() as port:
        assert checked(str(port), "/stats", K2_WEB_TLS_CERT_FILE="/there") == (0, "")


@pytest.mark.parametrize("tls", ["", "/there"])
def test_nobody_listens(tls):
    with listening() as port:
        pass
    assert checked(K2_WEB_PORT=str(port), K2_WEB_TLS_CERT_FILE=tls)[0] == 1
