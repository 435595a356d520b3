"""Certificates for tests, and a proxy that ends TLS in front of a server that has none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from k2stream.embedded import authority
from k2stream.settings.tls import Tls, server_context


def issued(folder: Path) -> Tls:
    """The files of a new CA and a certificate for 127.0.0.1, for servers and clients alike."""
    made, folder = authority.issue(), folder / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    files = Tls(*(str(folder / name) for name in ("ca.pem", "server.pem", "server.key")))
    for path, text in zip(files, (made.ca, made.certificate, made.key), strict=True):
        Path(path).write_bytes(text)
    return files


def asking_for_certificates(files: Tls) -> ssl.SSLContext:
    """A server's context that accepts only clients with a certificate of the CA."""
    server_context.cache_clear()
    context = server_context(files)
    server_context.cache_clear()
    assert context is not None
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.ca_file)
    return context


@asynccontextmanager
async def terminated(context: ssl.SSLContext, port: int) -> AsyncIterator[int]:
    """Serve TLS for a plain server on a local port; the port of the proxy."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copied(reader, outer), _copied(inner, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _copied(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()
