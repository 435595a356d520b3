"""Waits for a platform in processes of its own."""

import json
import time

import httpx


def ready(workers):
    """Whether every worker that `workers` (a file) lists is ready."""
    urls = json.loads(workers.read_text())["urls"]
    try:
        return all(httpx.get(f"{url}/health", timeout=2).status_code == 200 for url in urls.values())
    except httpx.TransportError:
        return False


def until(condition, seconds, process, log):
    """Wait until a condition holds, while the process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
