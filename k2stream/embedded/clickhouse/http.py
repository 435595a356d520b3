"""A small HTTP/1.1 server in front of `http_query`, with content encodings and keep-alive."""

import asyncio
import gzip
import io
import logging
import zlib
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

from k2stream.embedded.clickhouse.engine import QueryError, ServerEngine
from k2stream.embedded.clickhouse.http_query import HttpRequest, Response, answer, failure
from k2stream.embedded.clickhouse.logins import Door
from k2stream.embedded.clickhouse.reader import MAX_BLOCK, MalformedError

log = logging.getLogger(__name__)

MAX_LINE = 1 << 20  # bytes; a URL may contain a whole query
MAX_HEADERS = 100


async def serve(
    stream: asyncio.StreamReader, writer: asyncio.StreamWriter, engine: ServerEngine, door: Door | None = None
) -> None:
    """Serve requests until the client disconnects; malformed bytes are logged and close the connection."""
    try:
        while request := await _read_request(stream, writer, door):
            engine.commands += 1  # any request may be a command
            try:
                response = await engine.call(answer, engine, request)
            except QueryError as error:
                response = failure(error)
            finally:
                engine.commands += 1
            writer.write(_encode(response))
            await writer.drain()
            if request.headers.get("connection", "").lower() == "close":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client disconnected
    except QueryError as error:  # it may not ask: what it sent further is not read
        refused = failure(error)
        writer.write(
            _encode(Response("403 Forbidden", refused.body, {**refused.headers, "Connection": "close"}))
        )
    except MalformedError as error:
        log.warning("HTTP client %s: %s: connection closed", writer.get_extra_info("peername"), error)
        writer.write(_encode(Response("400 Bad Request", f"{error}\n".encode(), {"Connection": "close"})))
    finally:
        writer.close()


async def _read_request(
    stream: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door | None
) -> HttpRequest | None:
    """The next request; None at the end of the connection.

    Raises MalformedError, and QueryError before the body of one that the door refuses.
    """
    start = await _line(stream)
    if not start:
        return None
    match start.split(" "):
        case [("GET" | "POST") as method, target, version] if version.startswith("HTTP/1."):
            pass
        case _:
            raise MalformedError(f"not an HTTP/1 GET or POST request: {start[:80]!r}")
    headers: dict[str, str] = {}
    while line := await _line(stream):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
        if len(headers) > MAX_HEADERS:
            raise MalformedError(f"more than {MAX_HEADERS} headers")
    url = urlsplit(target)
    parameters = dict(parse_qsl(url.query, keep_blank_values=True))
    if door:
        door.check_http(headers, parameters)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    body = _decode(headers.get("content-encoding", ""), await _body(stream, headers))
    return HttpRequest(method, url.path, parameters, headers, body)


async def _line(stream: asyncio.StreamReader) -> str:
    try:
        return (await stream.readline()).decode("latin-1").rstrip("\r\n")
    except ValueError as error:
        raise MalformedError(f"a line of more than {MAX_LINE} bytes") from error


async def _body(stream: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await stream.readexactly(_size(headers.get("content-length", "0"), 10))
    body = bytearray()
    while size := _size((await _line(stream)).partition(";")[0], 16):
        if len(body) + size > MAX_BLOCK:
            raise MalformedError(f"a body of more than {MAX_BLOCK} bytes")
        body += await stream.readexactly(size)
        await _line(stream)
    while await _line(stream):  # trailers
        pass
    return bytes(body)


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if not 0 <= size <= MAX_BLOCK:
        raise MalformedError(f"a body size of {text!r}, not within 0 and {MAX_BLOCK}")
    return size


def _decode(encoding: str, body: bytes) -> bytes:
    try:
        match encoding:
            case "" | "identity":
                return body
            case "gzip":
                return _bounded(gzip.GzipFile(fileobj=io.BytesIO(body)).read)
            case "deflate":
                return _inflated(body)
            case "lz4":
                return _bounded(lz4.frame.open(io.BytesIO(body)).read)
            case "zstd":
                reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
                return _bounded(reader.read)
    except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
        raise MalformedError(f"a body that is not {encoding}: {error}") from error
    raise MalformedError(f"content encoding {encoding!r} is not supported: gzip, deflate, lz4, zstd are")


def _bounded(read: Callable[[int], bytes]) -> bytes:
    """The whole content. Raises MalformedError beyond MAX_BLOCK bytes, and unpacks no more then."""
    content = bytearray()
    while piece := read(_PIECE):
        content += piece
        if len(content) > MAX_BLOCK:
            raise MalformedError(_TOO_LARGE)
    return bytes(content)


def _inflated(body: bytes) -> bytes:
    inflating = zlib.decompressobj()
    content = inflating.decompress(body, MAX_BLOCK + 1)
    if len(content) > MAX_BLOCK:
        raise MalformedError(_TOO_LARGE)
    if not inflating.eof:
        raise EOFError("it is cut off")
    return content


_PIECE = 1 << 20
_TOO_LARGE = f"a body of more than {MAX_BLOCK} bytes, unpacked"


def _encode(response: Response) -> bytes:
    headers = {**response.headers, "Content-Length": len(response.body)}
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + response.body
