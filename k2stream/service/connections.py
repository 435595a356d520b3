"""The server's HTTP/1.1 connections, which take the shorter way of direct.py where they can."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from k2stream.service.direct import DirectAnswers
from k2stream.service.prepared import Prepared
from k2stream.service.stream.sockets import EXTENSION, Impatient


class ServiceHttp(Impatient, HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, which lets the application end a connection that does not take its answer.

    A request is answered at once, if its application can and nothing else is being answered; one that came
    before is not parsed again.
    """

    _within = False
    """Whether a request has begun to arrive and is not whole."""
    _requests = 0
    """How many have begun in what arrived last."""
    _found: Prepared | None = None
    """What the last of them asked for, if it was answered at once."""

    def connection_made(self, transport: Any) -> None:
        """See what the application can."""
        super().connection_made(transport)
        self._direct: DirectAnswers | None = getattr(self.app, "direct", None)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, unless it is a whole request that came before."""
        idle = self._direct is not None and self._idle()
        if idle and self._again(data):
            return
        self._requests = 0
        super().data_received(data)
        alone = idle and self._requests == 1 and not self._within
        if self._direct is not None and self._found is not None and alone:
            self._direct.keep(data, self._found)

    def _again(self, data: bytes) -> bool:
        """Answer what arrived, if it came before."""
        if self._direct is None or (found := self._direct.again(data)) is None:
            return False
        if (whole := self._direct.answer(found, self.server_state.default_headers)) is None:
            return False
        self._unset_keepalive_if_required()
        self._send_whole(whole)
        return True

    def _idle(self) -> bool:
        """Whether the next byte begins a request, which is the next to be answered."""
        busy = self._within or self.pipeline or self.flow.write_paused or self.transport.is_closing()
        return not busy and (self.cycle is None or self.cycle.response_complete)

    def _send_whole(self, whole: bytes) -> None:
        self.transport.write(whole)
        self.on_response_complete()

    def on_message_begin(self) -> None:
        """Put the connection into the scope of a request."""
        super().on_message_begin()
        self._within, self._requests, self._found = True, self._requests + 1, None
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self}

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._within = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Answer a request at once, or by a task."""
        found, whole = None, None
        if self._direct is not None and cycle.keep_alive and not (self.pipeline or self.flow.write_paused):
            found = self._direct.find(cycle.scope)
            whole = found and self._direct.answer(found, cycle.default_headers)
        if whole is None:
            super()._start_asgi_task(cycle, app)
        else:
            self._found = found
            cycle.response_started = cycle.response_complete = True
            self._send_whole(whole)
