"""Streams that are sent: each is made once, for all connections that have subscribed to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from k2stream.service.mirror.names import StreamName

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0
"""When a stream that failed begins again."""

Payloads = Callable[[StreamName], AsyncIterator[dict[str, Any]]]
"""What a stream sends, without end."""


class Receiver(Protocol):
    """A connection."""

    def put(self, name: str, payload: bytes) -> None:
        """Take a message of a stream without waiting."""


class Broadcast:
    """Runs a task for each stream that somebody has subscribed to, by exchange and name."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._receivers: dict[tuple[str, str], dict[Receiver, None]] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def update(
        self, receiver: Receiver, before: Mapping[str, StreamName], after: Mapping[str, StreamName]
    ) -> None:
        """Send a connection the streams of `after` in place of those of `before`."""
        for name in before.keys() - after.keys():
            self._leave(receiver, before[name])
        for name in after.keys() - before.keys():
            key = _key(after[name])
            self._receivers.setdefault(key, {})[receiver] = None
            if key not in self._tasks:
                self._tasks[key] = asyncio.get_running_loop().create_task(self._send(after[name]))

    def _leave(self, receiver: Receiver, stream: StreamName) -> None:
        receivers = self._receivers.get(_key(stream), {})
        receivers.pop(receiver, None)
        if not receivers:
            self._receivers.pop(_key(stream), None)
            if (task := self._tasks.pop(_key(stream), None)) is not None:
                task.cancel()

    async def _send(self, stream: StreamName) -> None:
        while True:
            try:
                async with aclosing(self._payloads(stream)) as payloads:  # type: ignore[type-var]
                    async for payload in payloads:
                        encoded = msgspec.json.encode(payload)
                        for receiver in list(self._receivers.get(_key(stream), ())):
                            receiver.put(stream.text, encoded)
            except Exception as error:  # of any tier, or a worker that moves: the stream goes on
                logger.warning("%s of %s: %s", stream.text, stream.instrument.exchange, error)
            await asyncio.sleep(AGAIN_SECONDS)


def _key(stream: StreamName) -> tuple[str, str]:
    return stream.instrument.exchange, stream.text
