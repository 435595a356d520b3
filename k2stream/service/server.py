"""Serves an ASGI application in the event loop of a worker."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from litestar.types import ASGIApp

from k2stream.model.errors import ConfigError
from k2stream.service.connections import ServiceHttp
from k2stream.service.stream.messages import LARGEST
from k2stream.service.stream.sockets import StreamSocket

_STOP_SECONDS = 2  # for answers in progress


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the worker."""
        yield


class Server:
    """An HTTP server on one address; `bind` first, so that a port in use stops the worker at its start."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        stopping: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`stopping` is called before connections are closed; without `tls`, it speaks plain HTTP."""
        self._host, self._port, self._stopping = host, port, stopping
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            app,
            http=ServiceHttp,
            ws=StreamSocket,
            ws_max_size=LARGEST,
            ws_per_message_deflate=False,  # each message is encoded once for all clients
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            proxy_headers=False,
            ssl_context_factory=None if tls is None else lambda config, default: tls,
        )
        self._server = _Server(config)

    def bind(self) -> None:
        """Take the port: clients wait from here on. Raises ConfigError naming the setting if it is in use."""
        made = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((self._host, self._port))
            made.listen(self._server.config.backlog)  # two may be bound to a port, one listens
        except OSError as error:
            made.close()
            raise ConfigError(
                f"K2_SERVICE_PORT={self._port}: {self._host}:{self._port} cannot be listened on "
                f"({error.strerror}); choose another port, or 0 for any"
            ) from None
        self._socket = made

    @property
    def port(self) -> int:
        """The port that was taken; the wanted one before `bind`."""
        return int(self._socket.getsockname()[1]) if self._socket else self._port

    async def run(self) -> None:
        """Serve until cancelled, then let answers in progress finish for at most two seconds."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        try:
            await self._server.serve(sockets=[self._socket])
        except asyncio.CancelledError:
            self._stopping()
            self._server.should_exit = True
            await self._server.shutdown(sockets=[self._socket])
            raise
