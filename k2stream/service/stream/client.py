"""One connection: its subscriptions, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from k2stream.model.errors import UNREADABLE
from k2stream.service.stream import messages
from k2stream.service.stream.messages import Id, ListAll, StreamRequest, Unsubscribe
from k2stream.service.stream.outlets import Gone, Outlet
from k2stream.service.stream.source import StreamSource
from k2stream.service.stream.subscription import StreamSubscription
from k2stream.service.stream.wanted import wanted
from k2stream.web.query import RequestError

if TYPE_CHECKING:
    from k2stream.service.stream.hub import Hub

logger = logging.getLogger(__name__)

MOST = 100
"""The most subscriptions of a connection."""

TRY_AGAIN, RESTART, INVALID = 1013, 1012, 1007
"""Close codes (RFC 6455)."""

CODES = {"slow": TRY_AGAIN, "moving": RESTART, "stopping": RESTART}


class StreamClient:
    """A connection's subscriptions by id."""

    def __init__(self, hub: Hub, outlet: Outlet) -> None:
        self._hub, self.outlet = hub, outlet
        self._subscriptions: dict[Id, StreamSubscription] = {}
        self._tasks: dict[Id, asyncio.Task[None]] = {}
        outlet.on_resume = self.flush

    def take(self, text: str | bytes) -> None:
        """Do what a message asks for; a message that is no JSON ends the connection."""
        try:
            request = messages.request(text)
        except msgspec.ValidationError as error:
            self.refuse(None, RequestError(400, f"{error}; see docs/stream.md for the messages"))
        except UNREADABLE as error:
            problem = RequestError(400, f"a message must be a JSON object: {error}")
            self.outlet.end(self._error(None, problem), INVALID, "a message must be a JSON object")
        else:
            match request:
                case StreamRequest():
                    self.subscribe(request)
                case Unsubscribe(id=name):
                    self.unsubscribe(name)
                case ListAll():
                    self.outlet.write(messages.message("list", subscriptions=self._listed()))

    def subscribe(self, request: StreamRequest) -> None:
        """Begin a subscription; a refusal is a message."""
        try:
            if request.id in self._subscriptions:
                raise RequestError(409, f"id {request.id!r} is in use: unsubscribe it, or choose another")
            if len(self._subscriptions) >= MOST:
                raise RequestError(429, f"a connection has at most {MOST} subscriptions")
            asked = wanted(request, self._hub.instruments, self._hub.kafka)
            source = self._hub.source(asked)
        except RequestError as error:
            self.refuse(request.id, error)
            return
        made = StreamSubscription(
            asked, source, self._hub.history, self.outlet, self._hub.now, lambda: self.end("slow")
        )
        self._subscriptions[request.id] = made
        self.outlet.write(messages.message("subscribed", id=request.id))
        self._tasks[request.id] = asyncio.get_running_loop().create_task(self._run(made))

    async def _run(self, subscription: StreamSubscription) -> None:
        try:
            await subscription.run()
        except RequestError as error:
            self._drop(subscription.id)
            self.refuse(subscription.id, error)
        except Gone:
            pass
        except Exception as error:  # a fault of ours: one line in the log, nothing of it in the answer
            reason = " ".join(str(error).split())[:200]
            logger.error("a stream failed: %s: %s", type(error).__name__, reason)
            self._drop(subscription.id)
            self.refuse(
                subscription.id, RequestError(500, "the stream failed; the service's log has the reason")
            )

    def unsubscribe(self, name: Id) -> None:
        """End a subscription."""
        if name in self._subscriptions:
            self._drop(name)
            self.outlet.write(messages.message("unsubscribed", id=name))
        else:
            self.refuse(name, RequestError(404, f"there is no subscription {name!r}"))

    def refuse(self, name: Id | None, error: RequestError) -> None:
        """Tell of a refusal."""
        self.outlet.write(self._error(name, error))

    def reads(self, source: StreamSource) -> bool:
        """Whether a subscription reads from a source."""
        return any(each.source is source for each in self._subscriptions.values())

    def flush(self) -> None:
        """Send what is new in all subscriptions."""
        for subscription in list(self._subscriptions.values()):
            subscription.flush()

    def end(self, reason: str) -> None:
        """Say why, and from where each subscription can go on; then close."""
        resume = {str(name): each.token for name, each in self._subscriptions.items() if each.token}
        self.outlet.end(messages.message("end", reason=reason, resume=resume), CODES[reason], reason)
        self.leave()

    def leave(self) -> None:
        """Forget everything; the connection is gone."""
        for name in list(self._subscriptions):
            self._drop(name)
        self._hub.forget(self)

    def _drop(self, name: Id) -> None:
        self._subscriptions.pop(name).stop()
        task = self._tasks.pop(name)
        if task is not asyncio.current_task():
            task.cancel()

    def _listed(self) -> list[dict[str, object]]:
        return [
            {**msgspec.to_builtins(each.wanted.request), "resume": each.token}
            for each in self._subscriptions.values()
        ]

    @staticmethod
    def _error(name: Id | None, error: RequestError) -> bytes:
        return messages.message("error", id=name, problem=messages.problem(error))
