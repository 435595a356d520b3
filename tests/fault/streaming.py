"""Clients of `/v1/stream` that are killed at random moments and resume; each checks what it gets."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PAUSE_SECONDS = 0.1
"""Before a client whose worker is gone connects again."""


class KilledClient:
    """One subscription over many connections; what is kept is what its last process would have on disk.

    `kept` has the newest message of a name (a window, a trade), `since` the token of the last one taken.
    """

    def __init__(self, url: str, seed: str, **wanted: Any) -> None:
        self._url = url.replace("http", "ws", 1) + "/v1/stream"
        self._wanted = {"op": "subscribe", "id": 1, **wanted}
        self._random = random.Random(seed)
        self.since: Any = wanted["since"]
        self.kept: dict[Any, dict[str, Any]] = {}
        self.kills = self.lost_connections = self.ends = self.messages = 0

    async def run(self, mean_seconds: float | None) -> None:
        """Connect again and again; each process lives a random time, the last one (None) for ever."""
        while True:
            life = self._random.expovariate(1 / mean_seconds) if mean_seconds else None
            try:
                async with connect(self._url, max_size=None, compression=None) as socket:
                    await self._one_life(socket, life)
            except (OSError, InvalidHandshake, ConnectionClosed):
                self.lost_connections += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def _one_life(self, socket: ClientConnection, life: float | None) -> None:
        await socket.send(json.dumps({**self._wanted, "since": self.since}))
        try:
            async with asyncio.timeout(life):
                async for text in socket:
                    self.take(json.loads(text))
        except TimeoutError:
            self.kills += 1
            socket.transport.abort()  # what was sent and not taken is lost with the process

    def take(self, message: dict[str, Any]) -> None:
        """Keep a message; fails where one comes twice or backwards."""
        assert message.get("op") != "error", message
        if message.get("op") == "end":
            self.ends += 1
            self.since = message["resume"].get("1", self.since)
        if "candle" in message:
            self._newer((*_symbol(message), message["candle"]["open_time"]), message["candle"], "revision")
        elif "trade" in message:
            trade = message["trade"]
            self._newer(_symbol(message), trade, "raw_offset")
            self.kept[(*_symbol(message), trade["raw_offset"])] = trade
        self.messages += 1
        self.since = message.get("resume", self.since)

    def _newer(self, name: tuple[Any, ...], content: dict[str, Any], by: str) -> None:
        before = self.kept.get(name)
        assert before is None or content[by] > before[by], f"{name}: {content} after {before}"
        self.kept[name] = content


def _symbol(message: dict[str, Any]) -> tuple[str, str]:
    return message["exchange"], message["symbol"]
