"""Local addresses are asked directly, all others by way of the proxy."""

import os
import urllib.request

import httpx
import pytest
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from k2stream import proxies

PROXY = "http://proxy.example:9"


@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("given", ["", "corp.example"])
def test_local_addresses_never_go_through_a_proxy(monkeypatch, variable, given):
    """The demo failed after 97 s, and the registry was blamed."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, PROXY)
    monkeypatch.setenv("NO_PROXY", given)
    monkeypatch.setenv("no_proxy", given)
    proxies.except_local()
    for host in ("127.0.0.1", "localhost"):
        assert get_proxy(parse_uri(f"ws://{host}:8765/ws")) is None
        assert urllib.request.proxy_bypass(f"{host}:8081")
        with httpx.Client() as client:
            transport = client._transport_for_url(httpx.URL(f"http://{host}:8081/subjects"))
            assert transport is client._transport
    assert (given or "localhost") in os.environ["NO_PROXY"].split(",")
    if variable == "http_proxy":
        with httpx.Client() as client:
            there = client._transport_for_url(httpx.URL("http://exchange.example/trades"))
            assert there is not client._transport
