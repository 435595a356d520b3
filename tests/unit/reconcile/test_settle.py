"""What `k2 verify` waits for on a running platform."""

from functools import partial

import httpx
import pytest

from k2stream.model.errors import Unavailable
from k2stream.platform.running import Running
from k2stream.reconcile import settle
from k2stream.settings import make


class Lags:
    """All is read."""

    def __init__(self, settings):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def passed(self, group, seconds):
        pass


@pytest.mark.parametrize("urls", [{}, {"cold": "http://127.0.0.1:1"}])
async def test_a_cold_worker_that_is_away_is_named(urls, monkeypatch):
    monkeypatch.setattr(settle, "LagReader", Lags)
    with pytest.raises(
        Unavailable, match=r"the cold worker at (no address|http://127.0.0.1:1) does not commit"
    ):
        await settle.settle(Running(make(), urls, {}))


async def test_a_cold_worker_that_refuses_is_one_line(monkeypatch):
    refusing = httpx.MockTransport(lambda request: httpx.Response(503))
    monkeypatch.setattr(settle, "LagReader", Lags)
    monkeypatch.setattr(httpx, "AsyncClient", partial(httpx.AsyncClient, transport=refusing))
    with pytest.raises(
        Unavailable, match=r"^the cold worker at http://k2 does not commit: .*503.*; `k2 status`.*$"
    ):
        await settle.settle(Running(make(), {"cold": "http://k2"}, {}))
