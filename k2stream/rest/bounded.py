"""Bodies of answers, of which no more is read or unpacked than an honest server sends."""

from __future__ import annotations

import zlib

import httpx

from k2stream.exchanges.rest.spec import HistoryError

MOST_BYTES = 32 << 20
"""Of an unpacked body; the longest page of trades has about 1 MB."""

ACCEPTED = {"Accept-Encoding": "gzip"}
"""httpx would unpack whatever a server sends, without a limit."""

_GZIP = zlib.MAX_WBITS | 16


async def body_of(answer: httpx.Response) -> bytes:
    """The whole body of a streamed answer. Raises HistoryError for a coding or a size that is refused."""
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise HistoryError(f"an answer in the coding {coding[:40]!r}, which was not asked for")
    unpacking = zlib.decompressobj(_GZIP) if coding == "gzip" else None
    body = bytearray()
    try:
        async for piece in answer.aiter_raw():
            left = MOST_BYTES - len(body) + 1
            body += piece if unpacking is None else unpacking.decompress(piece, left)
            if len(body) > MOST_BYTES:
                raise HistoryError(f"an answer of more than {MOST_BYTES} bytes")
    except zlib.error as error:
        raise HistoryError(f"an answer that is not the gzip it says: {error}") from None
    if unpacking is not None and not unpacking.eof:
        raise HistoryError("an answer that is cut off")
    return bytes(body)
