"""Base class of the simulator's small HTTP servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from aiohttp import web


class Http:
    """Serves routes on its own port."""

    def __init__(self, routes: Iterable[web.RouteDef]) -> None:
        app = web.Application()
        app.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int = 0) -> Self:
        """Listen; port 0 takes a free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return self

    @property
    def url(self) -> str:
        """Base URL."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()
