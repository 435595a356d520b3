"""What `k2 verify` waits for on a running platform."""

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
