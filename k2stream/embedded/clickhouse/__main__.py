"""`python -m k2stream.embedded.clickhouse …`: a server on a data folder; prints `ready` once it listens.

Its log goes to standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from k2stream.embedded.clickhouse import http, native
from k2stream.embedded.clickhouse.engine import ServerEngine
from k2stream.embedded.clickhouse.logins import Door
from k2stream.logs.setup import set_up
from k2stream.model.errors import ConfigError, K2Error
from k2stream.settings import current

USAGE = "usage: python -m k2stream.embedded.clickhouse DATA_DIR TCP_PORT HTTP_PORT [ACCESS_DIR]"
HOST = "127.0.0.1"
STOP = 1.5  # seconds allowed for a clean stop


async def serve(folder: Path, tcp_port: int, http_port: int, door: Door | None) -> None:
    """Serve until SIGTERM or SIGINT; with a door, only over TLS and to its user.

    Raises ConfigError when the folder or a port cannot be used.
    """
    engine = ServerEngine(folder)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    clients: set[asyncio.StreamWriter] = set()
    servers = [
        await _listen(native.serve, tcp_port, engine, clients, door),
        await _listen(http.serve, http_port, engine, clients, door),
    ]
    print("ready", flush=True)
    await stopped.wait()
    # A statement that does not end must not delay the stop; the engine's data survive a kill.
    watchdog = threading.Timer(STOP, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()
    for server in servers:
        server.close()
    for writer in clients:
        writer.transport.abort()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
    engine.close()


async def _listen(
    serve_client: Callable[
        [asyncio.StreamReader, asyncio.StreamWriter, ServerEngine, Door | None], Awaitable[None]
    ],
    port: int,
    engine: ServerEngine,
    clients: set[asyncio.StreamWriter],
    door: Door | None,
) -> asyncio.Server:
    async def connected(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        try:
            await serve_client(stream, writer, engine, door)
        finally:
            clients.discard(writer)

    try:
        context = door.context if door else None
        return await asyncio.start_server(connected, HOST, port, limit=http.MAX_LINE, ssl=context)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"ClickHouse cannot listen on {HOST}:{port}: {error}") from error


def _reachable(folder: Path) -> Path:
    """The folder in a form that fits the engine's connection string, if need be relative to its parent."""
    if set("?%#&=") & set(str(folder.parent)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.chdir(folder.parent)
        return Path(folder.name)
    return folder


def main(arguments: list[str]) -> int:
    try:
        folder, tcp_port, http_port, *access = arguments
        ports = int(tcp_port), int(http_port)
    except ValueError:
        print(USAGE, file=sys.stderr)
        return 1
    try:
        settings = current().worker
        set_up(settings.log_format, settings.log_level, role="clickhouse", worker="clickhouse")
        door = Door(Path(access[0])) if access else None
        asyncio.run(serve(_reachable(Path(folder).absolute()), *ports, door))
    except K2Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
