"""A growing buffer over an asynchronous byte source, with the primitives of the native protocol."""

from collections.abc import Awaitable, Callable

from k2stream.model.errors import BadData

MAX_BLOCK = 512 << 20  # bytes of one block or packet, uncompressed


class MalformedError(BadData):
    """The bytes are not valid protocol data, or exceed its limits; the connection must be closed."""


class BytesReader:
    """A buffer whose bytes from `position` on are unread; `compact` drops the ones before.

    Every read raises EOFError when the source ends early, and MalformedError beyond `limit` buffered bytes.
    """

    def __init__(self, source: Callable[[], Awaitable[bytes]], limit: int = MAX_BLOCK) -> None:
        self.source = source
        self.limit = limit
        self.buffer = bytearray()
        self.position = 0

    async def fill(self) -> None:
        data = await self.source()
        if not data:
            raise EOFError
        self.buffer += data

    async def need(self, count: int) -> None:
        """Wait until `count` unread bytes are buffered."""
        end = self.position + count
        if end > self.limit:
            raise MalformedError(f"a block or packet of more than {self.limit} bytes")
        while len(self.buffer) < end:
            await self.fill()

    async def skip(self, count: int) -> None:
        await self.need(count)
        self.position += count

    async def read(self, count: int) -> bytes:
        await self.skip(count)
        return bytes(memoryview(self.buffer)[self.position - count : self.position])

    async def integer(self, width: int) -> int:
        """Read an unsigned little-endian integer of `width` bytes."""
        return int.from_bytes(await self.read(width), "little")

    async def varint(self) -> int:
        """Read a LEB128 integer of at most 64 bits."""
        value = shift = 0
        while shift < 64:
            await self.skip(1)
            byte = self.buffer[self.position - 1]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise MalformedError("a varint of more than 64 bits")

    async def bytestring(self) -> bytes:
        return await self.read(await self.varint())

    async def string(self) -> str:
        try:
            return (await self.bytestring()).decode()
        except UnicodeDecodeError as error:
            raise MalformedError("a name or statement that is not UTF-8") from error

    async def skip_strings(self, count: int) -> None:
        """Skip `count` length-prefixed strings; optimized, as the only loop that runs per value."""
        buffer, position = self.buffer, self.position
        while count:
            try:
                while count:
                    size = buffer[position]
                    if size < 128:
                        position += size + 1
                    else:
                        size, after = _long_varint(buffer, position)
                        position = after + size
                    count -= 1
            except IndexError:  # the next string is incomplete: `position` is still at its start
                await self.need(max(position, len(buffer)) + 1 - self.position)
        await self.skip(position - self.position)

    def compact(self) -> None:
        del self.buffer[: self.position]
        self.position = 0

    def take(self) -> bytes:
        """Return the bytes read since the last `compact`, then `compact`."""
        data = bytes(memoryview(self.buffer)[: self.position])
        self.compact()
        return data


def _long_varint(buffer: bytearray, position: int) -> tuple[int, int]:
    """The varint at `position`, and the position after it. Raises IndexError when it is incomplete."""
    value = shift = 0
    while shift < 64:
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise MalformedError("a varint of more than 64 bits")


def reader_of(data: bytes) -> BytesReader:
    """A reader over `data`."""

    async def nothing() -> bytes:
        return b""

    reader = BytesReader(nothing)
    reader.buffer += data
    return reader
