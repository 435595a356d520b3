"""HTTP endpoint through which tests and tools control the simulated exchanges.

POST /fault       {"exchange": "…", "kind": "garbage", "count": 1, "seconds": 2, "bytes": 1000000,
                   "symbol": "…"}
POST /stop-feeds  no new trades; connections stay alive with heartbeats
POST /start-feeds resumes trading as after a halt: there are no trades for the time in between
GET  /stats       exact counts for each exchange
GET  /faults      the faults that happened, in order, with the trade ids that they affected
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from k2stream.simulator.faults import Fault
from k2stream.simulator.http import Http

if TYPE_CHECKING:
    from k2stream.simulator.simulator import Simulator


class Control(Http):
    """Serves the endpoint for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        routes = [
            web.post("/fault", self._fault),
            web.post("/stop-feeds", self._stop_feeds),
            web.post("/start-feeds", self._start_feeds),
            web.get("/stats", self._stats),
            web.get("/faults", self._faults),
        ]
        super().__init__(routes)

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            self._simulator.inject(msgspec.json.decode(await request.read(), type=Fault))
        except (msgspec.DecodeError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"ok": True})

    async def _stop_feeds(self, request: web.Request) -> web.Response:
        self._simulator.stop_trading()
        return _json(self._simulator.stats())

    async def _start_feeds(self, request: web.Request) -> web.Response:
        self._simulator.start_trading()
        return _json(self._simulator.stats())

    async def _stats(self, request: web.Request) -> web.Response:
        return _json(self._simulator.stats())

    async def _faults(self, request: web.Request) -> web.Response:
        return _json([entry for venue in self._simulator.venues.values() for entry in venue.faults.log])


def _json(body: Any) -> web.Response:
    return web.json_response(body)
